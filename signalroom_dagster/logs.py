"""How lines are logged: readable in dev, one JSON object each in production, and never with a
secret.

Everything logs through Python's own logging; this is the one place that says what becomes of it.
What a run or a request is about is bound once and stands on every line of its thread. Dagster's own
processes write JSON when they are started with `--log-format json`; a run's lines are written by
`RunLines`, which `dagster.yaml` names.

https://www.structlog.org/en/stable/standard-library.html
"""

import logging
import os
import sys
from collections.abc import Generator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from typing_extensions import override

from signalroom_dagster.config import environment
from signalroom_dagster.redaction import keep_environments_secrets, redact, redact_logs

_bound: ContextVar[Mapping[str, Any]] = ContextVar("signalroom_log_fields")


def guard() -> None:
    """Keep secrets out of whatever this process logs."""
    keep_environments_secrets()
    redact_logs()


def configure(verbose: bool = False) -> None:
    """Set up the logging of a process of ours, on standard error."""
    guard()
    logging.basicConfig(level=logging.WARNING, handlers=[Lines()])
    logging.getLogger("signalroom_dagster").setLevel(logging.DEBUG if verbose else logging.INFO)
    if not verbose:
        os.environ.setdefault(
            "RUNTIME__LOG_LEVEL", "CRITICAL"
        )  # dlt's own: a failed load would print its traceback


def is_verbose() -> bool:
    """Whether this process was asked to say where an error comes from."""
    return logging.getLogger("signalroom_dagster").level == logging.DEBUG


@contextmanager
def about(**fields: Any) -> Generator[None]:
    """Put fields, such as client, source and run, on every line that this thread logs within the
    block.
    """
    before = _bound.get({})
    _bound.set({**before, **fields})
    try:
        yield
    finally:
        _bound.set(before)


def bound(*names: str) -> str:
    """Those of the fields that `about` has put on this thread's lines, in words."""
    return " ".join(f"{name} {value}" for name in names if (value := _bound.get({}).get(name)))


class Lines(logging.StreamHandler[Any]):
    """Lines on standard error as it is now, above a bar that moves there: JSON in production, plain
    text in dev.
    """

    stream = property(lambda _: sys.stderr, lambda _self, _stream: None)

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(
            _json_lines() if environment() == "production" else logging.Formatter("%(message)s")
        )


class RunLines(Lines):
    """The lines of a Dagster run in production. In dev none: Dagster writes readable ones of its
    own.
    """

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return environment() == "production"


def _json_lines() -> logging.Formatter:
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            _with_context,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            _of_dagster,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            lambda _logger, _name, line: redact(str(line)),
        ],
    )


def _with_context(
    _logger: Any, _name: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {**_bound.get({}), **line}


def _of_dagster(
    _logger: Any, _name: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A line of a run, of which Dagster makes one text, as its parts."""
    told: Mapping[str, Any] | None = line.pop("dagster_meta", None)
    for name in ("dagster_event", "dagster_event_batch_metadata"):
        line.pop(name, None)
    if told is None:
        return line
    parts = {"run_id": told["run_id"], "job": told["job_name"], "step": told["step_key"]}
    if client := told["job_tags"].get("dagster/partition"):
        parts["client"] = client
    if event := told["dagster_event"]:
        parts["dagster_event"] = event.event_type_value
        if failed := getattr(event.event_specific_data, "error", None):
            parts["error"] = failed.to_string()
    return {
        **line,
        "event": told["orig_message"],
        **{name: part for name, part in parts.items() if part},
    }
