"""The one place that says what is tried again, how often, and after how long.

Temporal's semantics, kept: 5 attempts in all, waits of 1, 2, 4, 8 s, doubling, at most 5 minutes;
ValueError and KeyError match by exact type, so that a JSONDecodeError (a cut-off answer, and a
ValueError) is retried while a ValueError is not. Dagster's runs make their attempts by these
decisions; `repeated` is the same for the command line.
"""

import functools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from signalroom_dagster.errors import SignalRoomError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

ATTEMPTS = 5
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0
MOST_DOUBLINGS = 64

NEVER_PASSING_STATES = frozenset(
    {
        "23502",
        "42501",
        "42601",
        "42703",
        "42804",
        "42846",
        "42883",
        "42P01",
        "42P10",
        "54000",
        "54011",
    }
)
DATA_EXCEPTIONS = "22"
"""SQLSTATEs of what the warehouse refuses now and ever: a column, a type or a right is missing, a
value is of another kind. Tables that two loads make at once, locks and connections are not among
them.
"""

REFUSED_STATUS = frozenset({401, 403})
PASSING_STATUS = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do after a failed attempt: seconds until the next, or None to give up; and why."""

    wait: float | None
    why: str


def decide(error: BaseException, attempt: int) -> Decision:
    """Judge a failed attempt (1 is the first).

    A vendor's Retry-After is honoured when it is longer than the wait; above 5 minutes it ends the
    step at once, because the next schedule comes sooner than it is worth holding a worker.
    """
    cause = root_error(error)
    if isinstance(cause, KeyboardInterrupt):
        return Decision(None, "it was interrupted")
    if is_never_retried(cause):
        return Decision(None, f"{type(cause).__name__} is not retried")
    if (status := http_status(cause)) in REFUSED_STATUS:
        return Decision(None, f"the vendor refused the credentials ({status})")
    if status is not None and 300 <= status < 500 and status not in PASSING_STATUS:
        return Decision(
            None, f"the vendor refused the request ({status}): asking again would not help"
        )
    if _never_passes(sql_state := sql_state_of(cause)):
        return Decision(None, f"the warehouse would refuse it again ({sql_state})")
    asked = retry_after(cause)
    if asked is not None and asked > LONGEST_WAIT_SECONDS:
        return Decision(None, f"the vendor asks to wait {asked:.0f} s")
    if attempt >= ATTEMPTS:
        return Decision(None, f"{ATTEMPTS} attempts failed")
    wait = backoff(attempt, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)
    return Decision(max(wait, asked or 0.0), f"attempt {attempt} of {ATTEMPTS} failed")


def backoff(attempt: int, first: float, longest: float) -> float:
    """Seconds to wait after a failed attempt (1 is the first): doubling, at most `longest`."""
    return min(first * 2.0 ** min(attempt - 1, MOST_DOUBLINGS), longest)


def is_never_retried(error: BaseException) -> bool:
    """Whether another attempt at the same would fail the same way, judged by the error's class."""
    if isinstance(error, SignalRoomError):
        return not error.retried
    return type(error) in (ValueError, KeyError) or isinstance(error, _refusals_of_libraries())


@functools.cache
def _refusals_of_libraries() -> tuple[type[BaseException], ...]:
    """Missing rights and credentials, and SQL that DuckDB never takes; imported after a failure."""
    import duckdb
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError
    from dlt.common.configuration.exceptions import ConfigFieldMissingException

    missing = (ConfigFieldMissingException, NoCredentialsError, PartialCredentialsError)
    sql = (duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException)
    return (PermissionError, *missing, *sql)


def repeated(work: Callable[[], Result], subject: str) -> Result:
    """What `work` gives, tried again as `decide` says; raises the last attempt's root error."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return work()
        except Exception as error:
            decision = decide(error, attempt)
            if decision.wait is None:
                # from `error` would be a circle: the root is its cause
                raise root_error(error) from None
            what = str(root_error(error))
            where = "" if what.startswith("client ") else f"{subject}: "
            log.warning("%s%s; again in %.0f s", where, what, decision.wait)
            time.sleep(decision.wait)


def root_error(error: BaseException) -> BaseException:
    """The error below dlt's wrappers: the first of the cause chain that dlt did not raise itself.

    A Ctrl-C, which dlt holds back while it loads, is a KeyboardInterrupt below an error of a step.
    """
    from dlt.common.destination.exceptions import WithJobError
    from dlt.common.exceptions import DltException

    for cause in causes(error):
        if isinstance(cause, KeyboardInterrupt):
            return cause
        if not isinstance(cause, DltException | WithJobError) or is_never_retried(cause):
            return cause
    return error


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and, outside in, the errors that it was explicitly raised from."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def sql_state_of(error: BaseException) -> str:
    """The SQLSTATE that a driver's error or one of ours carries; empty for any other."""
    return str(getattr(error, "sql_state", None) or getattr(error, "pgcode", None) or "")


def _never_passes(sql_state: str) -> bool:
    return sql_state in NEVER_PASSING_STATES or sql_state.startswith(DATA_EXCEPTIONS)


def http_status(error: BaseException) -> int | None:
    """The HTTP status that an error of requests, httpx, botocore or slack_sdk carries."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    status = getattr(response, "status_code", None) or getattr(error, "status", None)
    return status if isinstance(status, int) else None


def retry_after(error: BaseException) -> float | None:
    """Seconds that a vendor asked to wait: a number or an HTTP date in Retry-After."""
    asked = getattr(error, "retry_after", None)
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    value = asked if asked is not None else headers.get("Retry-After") if headers else None
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(str(value)) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
