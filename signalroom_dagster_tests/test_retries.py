"""What is retried, how often, and after how long: Temporal's semantics."""

import ast
import builtins
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.exceptions import SignalReceivedException
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from dlt.extract.exceptions import ResourceExtractionError
from psycopg2 import DatabaseError

import signalroom_dagster
from signalroom_dagster import retries
from signalroom_dagster.errors import ConfigurationError, SignalRoomError
from signalroom_dagster.retries import ATTEMPTS, backoff, decide, repeated, root_error
from signalroom_dagster.warehouse.errors import (
    DestinationLostError,
    DestinationUnreachableError,
    LoadError,
)


def answered(status: int, headers: Mapping[str, str] | None = None) -> Exception:
    error = RuntimeError(f"HTTP {status}")
    error.response = SimpleNamespace(status_code=status, headers=headers or {})  # type: ignore[attr-defined]
    return error


class UndefinedColumn(DatabaseError):
    """As psycopg2 raises it: its code is read-only there."""

    pgcode = "42703"


def in_dlt(cause: BaseException) -> Exception:
    wrapped = ResourceExtractionError("rows", object(), "failed", "generator")
    wrapped.__cause__ = cause
    return wrapped


def test_waits_double_from_one_second_and_end_after_five_attempts() -> None:
    assert [decide(TimeoutError(), attempt).wait for attempt in range(1, 7)] == [
        1,
        2,
        4,
        8,
        None,
        None,
    ]
    assert ATTEMPTS == 5


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("x"),
        ConfigurationError("x"),
        ConfigFieldMissingException(PostgresCredentials(), {}),
        PermissionError("x"),
        DestinationLostError("x"),
        in_dlt(KeyError("x")),
        answered(401),
        answered(403),
        in_dlt(LoadError("x", "42703")),
        LoadError("x", "42804"),
        LoadError("x", "22P02"),
        UndefinedColumn(),
        in_dlt(duckdb.BinderException("x")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_get_better_fails_at_once(error: Exception) -> None:
    assert decide(error, 1).wait is None


@pytest.mark.parametrize(
    "error",
    [
        json.JSONDecodeError("cut off", "{", 1),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
        ConnectionResetError(),
        DestinationUnreachableError("x"),
        LoadError("x", "40P01"),
        LoadError("x", "42P07"),
        in_dlt(OSError("short read")),
        answered(408),
        answered(429),
        answered(500),
        answered(503),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_retried_also_when_it_is_a_kind_of_value_error(error: Exception) -> None:
    assert decide(error, 1).wait == 1


def test_a_wait_doubles_up_to_the_longest_however_often_it_is_repeated() -> None:
    assert [backoff(attempt, 0.5, 3.0) for attempt in (1, 2, 3, 4, 5_000)] == [0.5, 1, 2, 3, 3]


def test_the_class_of_an_error_of_ours_says_whether_it_is_retried_whatever_it_is_called() -> None:
    class ConfigurationError(SignalRoomError):
        """Of the same name as one that is not retried."""

    class UnheardOfError(ConnectionError, SignalRoomError):
        retried = False

    assert decide(ConfigurationError("x"), 1).wait == 1
    assert decide(in_dlt(UnheardOfError("x")), 1).wait is None


def test_every_error_of_the_product_stands_in_one_tree() -> None:
    package = Path(str(signalroom_dagster.__file__)).parent
    outside: list[str] = []
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and "sandbox" not in file.parts:
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                is_error = any(issubclass(_builtin(base), Exception) for base in bases)
                if is_error and "SignalRoomError" not in bases | {node.name}:
                    outside.append(f"{file.name}: {node.name}")
    assert outside == []


def _builtin(name: str) -> type:
    return getattr(builtins, name, object)


def test_a_ctrl_c_that_dlt_held_back_is_not_tried_again() -> None:
    error = in_dlt(SignalReceivedException(2))
    assert decide(error, 1).wait is None
    assert isinstance(root_error(error), KeyboardInterrupt)


def test_a_longer_retry_after_is_honoured_and_a_shorter_one_is_not() -> None:
    assert decide(answered(429, {"Retry-After": "30"}), 1).wait == 30
    assert decide(answered(429, {"Retry-After": "3"}), 4).wait == 8
    assert decide(answered(429, {"Retry-After": "soon"}), 1).wait == 1


def test_a_retry_after_beyond_five_minutes_ends_the_step() -> None:
    decision = decide(answered(429, {"Retry-After": "301"}), 1)
    assert decision.wait is None
    assert "asks to wait 301 s" in decision.why


def test_a_retry_after_date_is_understood() -> None:
    assert decide(answered(503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), 1).wait == 1
    assert decide(answered(503, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}), 1).wait is None


def test_an_error_of_botocore_counts_by_its_status() -> None:
    error = RuntimeError("An error occurred (403)")
    error.response = {"ResponseMetadata": {"HTTPStatusCode": 403}}  # type: ignore[attr-defined]
    assert decide(error, 1).wait is None


def test_what_is_tried_again_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=waits.append))
    errors = [LoadError("client 713, model public.orders: in use"), LoadError("in use")]

    def work() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    assert repeated(work, "client 713, models") == "done"
    assert [record.getMessage() for record in caplog.records] == [
        "client 713, model public.orders: in use; again in 1 s",
        "client 713, models: in use; again in 2 s",
    ]
    assert waits == [1.0, 2.0]
