"""A stand-in for Google's token endpoint and the Sheets API: the same answers, refusals and traps.

Everything is answered from `Google`, which a test may change between two reads: cells, tabs, who
shares what with whom. A service account's key is made when it is first needed, and lives as long as
the process.

https://developers.google.com/workspace/sheets/api/reference/rest
"""

import functools
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from signalroom_dagster.sandbox.google_sheets_data import (
    SHEETS,
    Formatted,
    Spreadsheet,
    sandbox_spreadsheets,
    spreadsheet_id,
)
from signalroom_dagster.sandbox.market import MARKETS
from signalroom_dagster.sandbox.sheet_ranges import RangeError, cells_of

AUDIENCE = "https://oauth2.googleapis.com/token"
"""What every assertion names, wherever it is sent to."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCHEME = "Bearer"
SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"


@dataclass
class Google:
    """The vendor's side. `accounts` are the e-mails of the service accounts that exist, `tokens`
    whose a token is.
    """

    spreadsheets: dict[str, Spreadsheet] = field(default_factory=dict[str, Spreadsheet])
    accounts: set[str] = field(default_factory=set[str])
    tokens: dict[str, str] = field(default_factory=dict[str, str])
    is_enabled: bool = True


class RefusedError(Exception):
    """An answer in Google's own error shape."""

    def __init__(self, code: int, status: str, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        detail = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
        }
        self.code = code
        error = {"code": code, "message": message, "status": status}
        self.body = {"error": {**error, "details": [detail]} if reason else error}


def settings(client_id: str, url: str) -> Mapping[str, str]:
    """What points a client at the stand-in."""
    sheets = {
        name: {"spreadsheet_id": spreadsheet_id(client_id), **described}
        for name, described in SHEETS[client_id].items()
    }
    key = service_account_key(account_email(client_id), url)
    return {
        "credentials": _env_json(key),
        "sheets": _env_json(sheets),
        "base_url": f"{url}/google_sheets",
    }


def routes(google: Google | None = None) -> list[BaseRoute]:
    """The vendor's paths, below `/google_sheets`; of the sandbox's clients when nothing is
    given.
    """
    google = google or sandbox_google()

    async def token(request: Request) -> JSONResponse:
        form = parse_qs((await request.body()).decode())
        refusal, email = _checked_assertion(google, form)
        if refusal:
            return JSONResponse({"error": "invalid_grant", "error_description": refusal}, 400)
        made = f"ya29.sandbox-{secrets.token_hex(16)}"
        google.tokens[made] = email
        return JSONResponse({"access_token": made, "expires_in": 3599, "token_type": SCHEME})

    async def spreadsheet(request: Request) -> JSONResponse:
        return _answered(lambda: _described(_readable(google, request)))

    async def values(request: Request) -> JSONResponse:
        return _answered(lambda: _values(_readable(google, request), request))

    return [
        Route("/google_sheets/token", token, methods=["POST"]),
        Route("/google_sheets/v4/spreadsheets/{book}", spreadsheet, methods=["GET"]),
        Route("/google_sheets/v4/spreadsheets/{book}/values:batchGet", values, methods=["GET"]),
    ]


def sandbox_google() -> Google:
    """Google with the spreadsheets of the sandbox's clients, each shared with its own service
    account.
    """
    google = Google(accounts={account_email(client_id) for client_id in MARKETS})
    for client_id in MARKETS:
        for found in sandbox_spreadsheets(client_id):
            found.shared_with.add(account_email(client_id))
            google.spreadsheets[found.id] = found
    return google


def account_email(client_id: str) -> str:
    """The address of a client's service account."""
    return f"signalroom-{client_id}@sandbox.iam.gserviceaccount.test"


def service_account_key(email: str, url: str) -> dict[str, str]:
    """The key file of a service account whose tokens come from the stand-in."""
    return {
        "type": "service_account",
        "project_id": "sandbox",
        "private_key_id": "sandbox-key",
        "private_key": _key_pair()[0],
        "client_email": email,
        "client_id": "100000000000000000000",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": f"{url}/google_sheets/token",
        "universe_domain": "googleapis.com",
    }


@functools.cache
def _key_pair() -> tuple[str, str]:
    """A private and its public key, PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    pem, key = (
        serialization.Encoding.PEM,
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    )
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def _checked_assertion(google: Google, form: Mapping[str, Sequence[str]]) -> tuple[str | None, str]:
    """Why an assertion is not taken, or None; and whose it is."""
    from google.auth import jwt

    if form.get("grant_type") != [GRANT]:
        return "Unsupported grant type", ""
    try:
        claims = jwt.decode(form["assertion"][0], certs=_key_pair()[1], audience=AUDIENCE)
    except (ValueError, KeyError):
        return "Invalid JWT Signature.", ""
    if claims.get("iss") not in google.accounts:
        return "Invalid grant: account not found", ""
    return (None if claims.get("scope") == SCOPE else "Invalid scope"), claims["iss"]


def _answered(answer: Any) -> JSONResponse:
    try:
        return JSONResponse(answer())
    except RefusedError as refused:
        return JSONResponse(refused.body, refused.code)


def _readable(google: Google, request: Request) -> Spreadsheet:
    """The spreadsheet that is asked for, when the token's account may read it."""
    email = google.tokens.get(request.headers.get("Authorization", "").removeprefix(f"{SCHEME} "))
    if email is None:
        raise RefusedError(
            401, "UNAUTHENTICATED", "Request had invalid authentication credentials."
        )
    if not google.is_enabled:
        said = (
            "Google Sheets API has not been used in project 000000000000 before or it is disabled."
        )
        raise RefusedError(403, "PERMISSION_DENIED", said, "SERVICE_DISABLED")
    found = google.spreadsheets.get(request.path_params["book"])
    if found is None:
        raise RefusedError(404, "NOT_FOUND", "Requested entity was not found.")
    if email not in found.shared_with:
        raise RefusedError(403, "PERMISSION_DENIED", "The caller does not have permission")
    if found.is_excel_file:
        raise RefusedError(
            400, "FAILED_PRECONDITION", "This operation is not supported for this document"
        )
    return found


def _described(found: Spreadsheet) -> Any:
    tabs = [{"properties": {"title": title}} for title in found.tabs]
    return {"properties": {"timeZone": found.zone}, "sheets": tabs}


def _values(found: Spreadsheet, request: Request) -> Any:
    """Every range that is asked for, or the refusal of the first that there is not."""
    query = request.query_params
    is_formatted = query.get("valueRenderOption", "FORMATTED_VALUE") == "FORMATTED_VALUE"
    answers: list[dict[str, Any]] = []
    for wanted in query.getlist("ranges"):
        try:
            echoed, rows = cells_of(found.tabs, wanted)
        except RangeError as error:
            raise RefusedError(400, "INVALID_ARGUMENT", str(error)) from None
        answer: dict[str, Any] = {"range": echoed, "majorDimension": "ROWS"}
        if rows:
            answer["values"] = [
                list(map(_shown if is_formatted else _unformatted, row)) for row in rows
            ]
        answers.append(answer)
    return {"spreadsheetId": found.id, "valueRanges": answers}


def _shown(cell: Any) -> str:
    """A cell as a person sees it: no number any more."""
    if isinstance(cell, Formatted):
        return cell.text
    return str(cell).upper() if isinstance(cell, bool) else str(cell)


def _unformatted(cell: Any) -> Any:
    return cell.value if isinstance(cell, Formatted) else cell


def _env_json(value: Any) -> str:
    """JSON without an apostrophe, so that it can stand between two of them in a shell."""
    return json.dumps(value).replace("'", "\\u0027")
