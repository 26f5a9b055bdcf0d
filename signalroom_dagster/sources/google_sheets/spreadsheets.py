"""Asking for spreadsheets: what they are, and all wanted ranges of one in a single request.

One range that Google does not find fails the whole request; then each is asked for alone, so that
only its own sheet fails. What is read is what stands in the cells, not how it is shown: showing
rounds, and depends on the locale. Only text columns with numbers or dates in them are asked for
once more, as they are shown.

https://developers.google.com/workspace/sheets/api/reference/rest
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

from signalroom_dagster.limits import Limit
from signalroom_dagster.sources.google_sheets.locales import AMERICAN
from signalroom_dagster.sources.google_sheets.rows import Values
from signalroom_dagster.sources.google_sheets.service_account import ServiceAccount
from signalroom_dagster.sources.http import Api, VendorDataError, VendorError, http_client

TIMEOUT_SECONDS = 190.0  # Google itself gives a request 180 s
AT_ONCE = 4
BURST = 10
QUOTA_SECONDS = "60"  # quotas are counted by the minute, and Google does not say so in a header
FIELDS = "properties(timeZone,locale),sheets(properties(title))"


class Book(NamedTuple):
    """One spreadsheet as it was read: its time zone and locale, its tabs, and each range's cells,
    or what came in their place.
    """

    zone: str
    locale: str
    tabs: tuple[str, ...]
    ranges: Mapping[str, "Values | VendorError"]


Described: TypeAlias = tuple[str, str, tuple[str, ...]]


class Account(NamedTuple):
    """The way to the spreadsheets that are shared with one service account."""

    api: Api
    email: str


def open_api(account: ServiceAccount, base_url: str, requests_per_minute: int) -> Account:
    """The API with a new token. The pace is the service account's, whichever clients share it."""
    token = account.token()
    api = Api(
        source="google_sheets",
        base_url=base_url,
        key_name="credentials",
        limit=Limit(
            "google_sheets__" + re.sub(r"\W+", "_", account.email),
            requests_per_minute,
            burst=BURST,
            at_once=AT_ONCE,
        ),
        secrets=(token,),
        headers={"Authorization": f"Bearer {token}"},
        words=_words,
        http=http_client(TIMEOUT_SECONDS),
    )
    return Account(api, account.email)


def read_book(account: Account, spreadsheet_id: str, ranges: Iterable[str]) -> Book:
    """A spreadsheet with these ranges; one that cannot be read is there as its error. Raises as
    `Api.ask` does.
    """
    wanted = list(dict.fromkeys(ranges))
    zone, locale, tabs = describe_book(account, spreadsheet_id)
    try:
        return Book(
            zone,
            locale,
            tabs,
            dict(zip(wanted, _values(account, spreadsheet_id, wanted), strict=True)),
        )
    except VendorError as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        if len(wanted) == 1:
            return Book(zone, locale, tabs, {wanted[0]: error})
    return Book(
        zone, locale, tabs, {range_: _alone(account, spreadsheet_id, range_) for range_ in wanted}
    )


def read_as_shown(account: Account, spreadsheet_id: str, range_: str) -> Values:
    """A range's cells as people see them, all of them text. Raises as `Api.ask` does."""
    return _values(account, spreadsheet_id, [range_], valueRenderOption="FORMATTED_VALUE")[0]


def describe_book(account: Account, spreadsheet_id: str) -> Described:
    """The spreadsheet's time zone and locale, and the titles of its tabs."""
    path = f"/v4/spreadsheets/{spreadsheet_id}"
    said = _ask(account, path, fields=FIELDS)
    try:
        properties, tabs = (
            said["properties"],
            tuple(tab["properties"]["title"] for tab in said["sheets"]),
        )
        return properties["timeZone"], properties.get("locale") or AMERICAN, tabs
    except (KeyError, TypeError):
        raise VendorDataError(
            account.api.about("GET", path, "does not describe a spreadsheet")
        ) from None


def _alone(account: Account, spreadsheet_id: str, range_: str) -> "Values | VendorError":
    try:
        return _values(account, spreadsheet_id, [range_])[0]
    except VendorError as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        return error


def _values(
    account: Account, spreadsheet_id: str, ranges: Sequence[str], **options: str
) -> list[Values]:
    """The cells of each range, in the order asked for; a range without any has no `values`."""
    path = f"/v4/spreadsheets/{spreadsheet_id}/values:batchGet"
    plain = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "SERIAL_NUMBER"}
    said = _ask(account, path, ranges=ranges, majorDimension="ROWS", **{**plain, **options})
    found = said.get("valueRanges") if isinstance(said, dict) else None
    if not isinstance(found, list) or len(found) != len(ranges):
        raise VendorDataError(
            account.api.about("GET", path, f"does not answer all of {len(ranges)} ranges")
        )
    return [entry.get("values") or [] for entry in found]


def _ask(account: Account, path: str, **params: Any) -> Any:
    try:
        return account.api.get(path, **params)
    except VendorError as error:
        raise _advised(error, account.email) from None


def _advised(error: VendorError, email: str) -> VendorError:
    """The same refusal, with what to do about it."""
    said, status, wait = str(error), error.status, error.retry_after
    if status == HTTPStatus.FORBIDDEN and "SERVICE_DISABLED" in said:
        said += "; switch the Google Sheets API on in the service account's Google Cloud project"
    elif status == HTTPStatus.FORBIDDEN:
        said += f"; share the spreadsheet with {email}, as a viewer"
    elif status == HTTPStatus.NOT_FOUND:
        said += "; check spreadsheet_id: there is none of this id, or it was deleted"
    elif status == HTTPStatus.BAD_REQUEST and "FAILED_PRECONDITION" in said:
        said += "; it is not a Google spreadsheet, but a file such as .xlsx: save it as one"
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = wait or QUOTA_SECONDS
    return VendorError(said, status, wait)


def _words(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    reasons = [detail["reason"] for detail in error.get("details") or () if detail.get("reason")]
    return " ".join([str(error.get("status")), *reasons]) + f": {error.get('message')}"
