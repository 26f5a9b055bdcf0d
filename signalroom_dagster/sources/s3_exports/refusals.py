"""What it means when a bucket does not hand something out: it is this object, the client's access,
or just now.

One object is set aside, with a reason that follows its name; wrong access ends the load; the rest
is tried again. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from enum import Enum
from typing import Any

from signalroom_dagster.retries import PASSING_STATUS, causes
from signalroom_dagster.sources.files import AccessRefusedError, UnreadableObjectError

ARCHIVED = "is archived (GLACIER or DEEP_ARCHIVE): restore it in S3, or have it exported again"
REFUSED = (
    "may not be read: allow the client's key s3:GetObject on it (and kms:Decrypt, if it is"
    " encrypted with a KMS key)"
)
KEYLESS = (
    "is encrypted with a KMS key that cannot be used: enable the key, and allow the client's key"
    " kms:Decrypt"
)
CUSTOMER_KEY = "is encrypted with a key of the uploader's own (SSE-C): have it stored without"
NOT_OURS = "may not be read by the user that SignalRoom runs as: give it the right to"
VANISHED = (
    "was listed, but is not there to be read: it was removed meanwhile, or its name cannot be"
    " asked for"
)

_OF_THE_ACCOUNT = frozenset(
    {
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidPayer",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "NoSuchBucket",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_TO_CHECK = {
    "AuthorizationHeaderMalformed": "region_name",
    "PermanentRedirect": "region_name",
    "RequestTimeTooSkewed": "the clock of this machine",
}
_FOR_NOW = frozenset(
    {"KMS.ThrottlingException", "PreconditionFailed", "RequestTimeout", "SlowDown"}
)


class Scope(Enum):
    """What a refusal is about."""

    OBJECT = "object"
    ACCESS = "access"
    NOW = "now"


def scope_of(error: BaseException) -> Scope:
    """Whether an error says something of one object, of the client's access to the bucket, or of
    this moment only.
    """
    code, status = answer_of(error)
    if code in _OF_THE_ACCOUNT:
        return Scope.ACCESS
    if code in _FOR_NOW or (status or 0) >= 500 or status in PASSING_STATUS:
        return Scope.NOW
    if status or isinstance(error, PermissionError | FileNotFoundError | IsADirectoryError):
        return Scope.OBJECT
    return Scope.NOW


def unreadable(error: BaseException) -> UnreadableObjectError:
    """The same of one object, in words."""
    code, status = answer_of(error)
    if code == "InvalidObjectState":
        return UnreadableObjectError(ARCHIVED)
    if code.startswith("KMS."):
        return UnreadableObjectError(KEYLESS)
    if code == "InvalidRequest":
        return UnreadableObjectError(CUSTOMER_KEY)
    if status == 403:
        return AccessRefusedError(REFUSED)
    if status is None and isinstance(error, PermissionError):
        return AccessRefusedError(NOT_OURS)
    if isinstance(error, FileNotFoundError):
        return UnreadableObjectError(VANISHED)
    return UnreadableObjectError(f"cannot be read: the bucket answers {_named(code, status)}")


def what_to_check(error: BaseException) -> str:
    """The settings that may be wrong where S3 refuses a bucket."""
    return _TO_CHECK.get(answer_of(error)[0], "aws_access_key_id and aws_secret_access_key")


def in_short(error: BaseException) -> str:
    """What went wrong, without the vendor's own sentences: a code and a status, or the kind of
    failure.
    """
    code, status = answer_of(error)
    if code == "PreconditionFailed":
        return "it was overwritten while it was read"
    if code or status:
        return f"it answers {_named(code, status)}"
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "it does not answer in time"
    return f"the connection failed: {type(error).__name__}"


def answer_of(error: BaseException) -> tuple[str, int | None]:
    """S3's error code and HTTP status, from wherever in the chain of causes they stand; of a HEAD
    there is no code.
    """
    for cause in causes(error):
        response: Any = getattr(cause, "response", None)
        if isinstance(response, dict):
            code = str(response.get("Error", {}).get("Code") or "")
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return ("" if code.isdecimal() else code), status or (
                int(code) if code.isdecimal() else None
            )
    return "", None


def _named(code: str, status: int | None) -> str:
    return " ".join(part for part in (code, f"(HTTP {status})" if status else "") if part)
