"""A client's reference data: CSV files in git that become tables of schema `public`, beside the
client's other data.

`internal-affiliates.csv` says which traffic source belongs to which affiliate. Any other
`mappings/<name>.csv` with a `<name>.toml` beside it becomes a table too: no Python. The file is the
truth: a load makes the client's rows those of the file. Labels are stored without the spaces around
them (vendors send both spellings, and labels are what costs are joined by); `n/a` and empty cells
are NULL.

https://docs.python.org/3/library/csv.html
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from signalroom_dagster.config import ConfigurationError, project_dir
from signalroom_dagster.reference_data import ReferenceSchema, ReferenceTable
from signalroom_dagster.sources.affiliate_mapping.csv_rows import UnreadableFileError, read_rows
from signalroom_dagster.sources.affiliate_mapping.schemas import (
    Layout,
    affiliate_layout,
    read_layout,
)
from signalroom_dagster.sources.affiliate_mapping.settings import Settings

SHOWN_PROBLEMS = 50


def tables_of(client_ids: Iterable[str], root: Path) -> Mapping[str, ReferenceSchema]:
    """Every table that one of these clients has a schema for, by name; reads no data.

    Raises ConfigurationError for a schema that is not valid, and when two clients' schemas of a
    table differ.
    """
    own = affiliate_layout().schema
    found: dict[str, tuple[str, ReferenceSchema]] = {own.name: (f"the source {own.name}", own)}
    for client_id in client_ids:
        for path, layout in _layouts(client_id, root).items():
            schema, shown = layout.schema, _shown(path, root)
            where, other = found.setdefault(schema.name, (shown, schema))
            if (other.key, dict(other.columns)) != (schema.key, dict(schema.columns)):
                raise ConfigurationError(
                    f"{shown} and {where} differ in the columns or the key of {schema.name}"
                )
    return {name: schema for name, (_, schema) in found.items()}


def read(settings: Settings, client_id: str, root: Path) -> list[ReferenceTable]:
    """The client's tables with their rows. Raises ConfigurationError that names all that is wrong
    in all its files.
    """
    problems: list[str] = []
    tables: list[ReferenceTable] = []
    for path, layout in _files(settings, client_id, root):
        shown = _shown(path, root)
        try:
            rows, empty = read_rows(path, shown, layout)
            tables.append(
                ReferenceTable(
                    schema=layout.schema,
                    rows=rows,
                    file=shown,
                    empty=empty,
                    allow_empty=settings.allow_empty,
                )
            )
        except UnreadableFileError as error:
            problems += [f"{shown}: {problem}" for problem in error.problems]
        except OSError as error:
            problems.append(f"{shown}: cannot be read: {error.strerror}")
    if problems:
        more = (
            [f"and {len(problems) - SHOWN_PROBLEMS} more"] if len(problems) > SHOWN_PROBLEMS else []
        )
        listed = "".join(f"\n  {problem}" for problem in (*problems[:SHOWN_PROBLEMS], *more))
        raise ConfigurationError(f"client {client_id}, source affiliate_mapping:{listed}")
    return tables


def ignored_files(settings: Settings, client_id: str, root: Path) -> list[str]:
    """The client's CSV files that no schema speaks of, and that so are not loaded."""
    known = {path.resolve() for path, _ in _files(settings, client_id, root)}
    return [
        _shown(path, root)
        for path in sorted(_folder(client_id, root).glob("*.csv"))
        if path.resolve() not in known
    ]


def probe(settings: Settings, client_id: str) -> str:
    """Read the client's files; how many rows each has."""
    root = project_dir()
    counted = [f"{table.file}: {len(table.rows)} rows" for table in read(settings, client_id, root)]
    return "; ".join(
        [
            *counted,
            *(f"{name}: ignored, no schema" for name in ignored_files(settings, client_id, root)),
        ]
    )


def _files(settings: Settings, client_id: str, root: Path) -> list[tuple[Path, Layout]]:
    mapping = root / (
        settings.csv_path or f"data/clients/{client_id}/mappings/internal-affiliates.csv"
    )
    others = _layouts(client_id, root).items()
    return [
        (mapping, affiliate_layout()),
        *((path.with_suffix(".csv"), layout) for path, layout in others),
    ]


def _layouts(client_id: str, root: Path) -> Mapping[Path, Layout]:
    """The client's schema files. Raises ConfigurationError for one that is not valid or names a
    table again.
    """
    found: dict[Path, Layout] = {}
    named = {affiliate_layout().schema.name: "the source itself"}
    for path in sorted(_folder(client_id, root).glob("*.toml")):
        shown = _shown(path, root)
        found[path] = read_layout(path, shown)
        table = found[path].schema.name
        if table in named:
            raise ConfigurationError(f"{shown}: table {table} belongs to {named[table]} already")
        named[table] = shown
    return found


def _folder(client_id: str, root: Path) -> Path:
    return root / "data" / "clients" / client_id / "mappings"


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
