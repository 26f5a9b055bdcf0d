"""The table of a described resource, as that of any source."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from signalroom_dagster.described.files import Resource
from signalroom_dagster.described.proofs import proof_of
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.kinds import CONVERTERS
from signalroom_dagster.naming import SYSTEM_COLUMNS, wrong_name
from signalroom_dagster.sources.tables import TAGS, Table, table_of

KEPT = ("windows", "restatements")
"""Tables that a load keeps beside those of its source."""
OWN_COLUMNS = frozenset({*TAGS, *SYSTEM_COLUMNS})


def described_table(name: str, resource: Resource) -> Table:
    """Raises ConfigurationError, with the key, for names that no table has and for columns that do
    not fit together.
    """
    taken = "SignalRoom keeps a table of this name" if name in KEPT else ""
    if problem := wrong_name(name) or taken:
        raise ConfigurationError(f"resources.{name}: {problem}")
    window, complete = resource.window, resource.complete
    columns = {column: _column(column, text) for column, text in resource.columns.items()}
    described: dict[str, Any] = {
        "about": resource.about or name.replace("_", " ").capitalize(),
        "key": resource.primary_key,
        "columns": columns,
        "needed": resource.needed,
    }
    if complete:
        described["proof"] = proof_of(complete)
    if resource.figures is not None:
        described["figures"] = resource.figures
    if window:
        described |= {"day": window.day, "longest": window.longest}
        if window.moment:
            columns.setdefault(window.day, "date")
    if complete and complete.sum:
        described["total"] = complete.sum.column
    if problems := [*_wrong_columns(columns), *_missing_columns(resource, columns)]:
        raise ConfigurationError("; ".join(f"resources.{name}.{problem}" for problem in problems))
    return table_of(name, described)


def _column(name: str, described: str | Mapping[str, Any]) -> str:
    """`kind path | text`, also from dlt's own hints."""
    if isinstance(described, str):
        return described
    about = described.get("description")
    return f"{described.get('data_type', 'text')} {name}" + (f" | {about}" if about else "")


def _wrong_columns(columns: Mapping[str, str]) -> Iterator[str]:
    for column, text in columns.items():
        kind = text.partition(" | ")[0].partition(" ")[0]
        if kind not in CONVERTERS:
            yield f"columns.{column}: no kind {kind!r} (there are: {', '.join(CONVERTERS)})"
        taken = "SignalRoom has a column of this name" if column in OWN_COLUMNS else ""
        if problem := taken or wrong_name(column):
            yield f"columns.{column}: {problem}"


def _missing_columns(resource: Resource, columns: Mapping[str, str]) -> Iterator[str]:
    named: dict[str, Sequence[str]] = {
        "primary_key": resource.primary_key,
        "figures": resource.figures or (),
        "needed": resource.needed,
    }
    if resource.window:
        named["window.day"] = (resource.window.day,)
    if resource.complete and resource.complete.sum:
        named["complete.sum.column"] = (resource.complete.sum.column,)
    for key, names in named.items():
        if missing := [column for column in names if column not in columns]:
            yield f"{key}: there is no column {', '.join(missing)}"
