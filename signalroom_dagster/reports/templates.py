"""Report templates: a folder with `query.sql` and what is written from it. A folder is all it takes
to exist.

`query.sql` is needed, and `slack.j2`; `email.mjml`, `sms.j2`, `text.j2` and `chart.toml` are there
when a report has them. A project's own `reports/` folder is looked through before the package, so a
project adds templates, or replaces one, without touching the package.
"""

import functools
import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from signalroom_dagster.config import ConfigurationError, project_dir, shown
from signalroom_dagster.modeling.sql import TableName
from signalroom_dagster.refused_values import refused
from signalroom_dagster.reports.queries import DATE, ReportQuery, read_queries
from signalroom_dagster.settings_files import ENCODING

QUERIES, SLACK, EMAIL, SMS, TEXT, CHART = (
    "query.sql",
    "slack.j2",
    "email.mjml",
    "sms.j2",
    "text.j2",
    "chart.toml",
)
FILE_OF_CHANNEL = {"slack": SLACK, "email": EMAIL, "sms": SMS}


class Panel(BaseModel):
    """One row of a chart: a column over the days, as bars or as a line, in money or as a count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    label: str
    kind: Literal["bars", "line"]
    unit: Literal["money", "count"]


class ChartSpec(BaseModel):
    """A chart: which query it draws, by which column of days, how many of them, and its panels from
    the top.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str
    title: str
    day: str = "date"
    days: int = 14
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """One template: where it lies, what it says, its queries by name, its chart, and the files that
    it has.
    """

    name: str
    folder: Path
    about: str
    queries: Mapping[str, ReportQuery]
    chart: ChartSpec | None
    files: frozenset[str]

    @property
    def reads(self) -> Sequence[TableName]:
        """Every table that one of its queries names."""
        return sorted({table for query in self.queries.values() for table in query.reads})

    @property
    def parameters(self) -> frozenset[str]:
        """What a subscription may set."""
        return frozenset(name for query in self.queries.values() for name in query.parameters) - {
            DATE
        }


def search_path() -> Sequence[Path]:
    """Where templates lie, the project's own first."""
    return [project_dir() / "reports", Path(__file__).parent]


def template_names() -> Sequence[str]:
    """Every template there is."""
    return sorted(
        {file.parent.name for root in search_path() for file in root.glob(f"*/{QUERIES}")}
    )


def get_template(name: str) -> Template:
    """The template of that name. Raises ConfigurationError that lists the known ones, or says what
    is wrong.
    """
    for root in search_path():
        if Path(name).name == name and (root / name / QUERIES).is_file():
            return _read(root / name)
    raise ConfigurationError(
        f"no report template {name!r} (there are: {', '.join(template_names())})"
    )


def _read(folder: Path) -> Template:
    try:
        files = frozenset(path.name for path in folder.iterdir() if path.is_file())
        if SLACK not in files:
            raise ConfigurationError(f"{shown(folder)}: a report needs {SLACK}")
        chart = (folder / CHART).read_text(ENCODING) if CHART in files else None
        return _parsed(folder, files, (folder / QUERIES).read_text(ENCODING), chart)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{shown(folder)}: cannot be read: {error}") from None


@functools.lru_cache(maxsize=256)
def _parsed(folder: Path, files: frozenset[str], queries: str, chart: str | None) -> Template:
    """Parsing SQL takes long, and many clients share a template."""
    try:
        read = read_queries(queries, shown(folder / QUERIES))
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return Template(
        folder.name,
        folder,
        _about(queries),
        read,
        _chart(folder, read, chart) if chart else None,
        files,
    )


def _about(queries: str) -> str:
    """The comment on top of the queries."""
    lines = itertools.takewhile(lambda line: line.startswith("--"), queries.splitlines())
    return " ".join(line.lstrip("- ") for line in lines if not line.startswith("-- name:"))


def _chart(folder: Path, queries: Mapping[str, ReportQuery], text: str) -> ChartSpec:
    try:
        chart = ChartSpec.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise ConfigurationError(f"{shown(folder / CHART)}: {refused(error, ChartSpec)}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{shown(folder / CHART)}: not valid TOML: {error}") from None
    columns = queries[chart.query].columns if chart.query in queries else ()
    if missing := [
        name
        for name in (chart.day, *(panel.column for panel in chart.panels))
        if name not in columns
    ]:
        raise ConfigurationError(
            f"{shown(folder / CHART)}: query {chart.query} has no column {', '.join(missing)}"
        )
    return chart
