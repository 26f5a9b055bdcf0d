"""A report from its client and day to its texts and files.

The warehouse is held only while it is read, never while something is drawn, sent or waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from signalroom_dagster.config import ConfigurationError, reports_dir
from signalroom_dagster.freshness.coverage import Coverage, coverage
from signalroom_dagster.loading.pipelines import create_tables
from signalroom_dagster.modeling.runs import run_model, sources_of
from signalroom_dagster.modeling.sql import models
from signalroom_dagster.registry.catalog import is_reference
from signalroom_dagster.reports.archive import last_inputs
from signalroom_dagster.reports.figures import Figures, figures
from signalroom_dagster.reports.rendering import CHART_NAME, Rendered, render
from signalroom_dagster.reports.subscriptions import ReportDay
from signalroom_dagster.reports.tables import create_report_tables
from signalroom_dagster.warehouse.access import connected, exclusive, table_exists, transaction


@dataclass(frozen=True)
class Report(ReportDay):
    """One report as it was made: what it says and what it was made from."""

    figures: Figures
    rendered: Rendered

    @property
    def stale(self) -> Sequence[Coverage]:
        """The sources that do not cover the reported day whole."""
        return [item for item in self.figures.coverage if item.state(self.day) != "whole"]


def make_report(due: ReportDay) -> Report:
    """A report from the warehouse as it is now, after the models behind it have been made anew for
    the client.

    Raises ConfigurationError for a report that the client has no source for.
    """
    _expect_sources(due)
    with exclusive():
        create_report_tables()
        with connected() as query:
            # before the models: what is loaded meanwhile must not count as covered
            reach = coverage(query, due.client, due.tables, due.day)
        _bring_up_to_date(due)
        with transaction(str(due), one_state=True) as query:
            figured = figures(query, due, reach, last_inputs(query, due))
    return Report(due.client, due.subscription, due.day, figured, render(due, figured))


def write_files(report: Report, folder: Path | None = None) -> Sequence[Path]:
    """A report as files in `<folder>/<client>/`: HTML, chart, and each channel's text; their
    paths.
    """
    place = (folder or reports_dir()) / report.client.id
    place.mkdir(parents=True, exist_ok=True)
    stem, rendered = f"{report.name}-{report.day}", report.rendered
    chart = f"{stem}-{CHART_NAME}"
    contents: dict[str, str | bytes | None] = {
        f"{stem}.html": rendered.html_with_chart(chart),
        chart: rendered.chart,
        f"{stem}.txt": rendered.text,
        f"{stem}.slack.txt": rendered.slack,
        f"{stem}.sms.txt": rendered.sms,
    }
    written = {place / name: content for name, content in contents.items() if content}
    for path, content in written.items():
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(written)


def _expect_sources(due: ReportDay) -> None:
    needed = [source for source in sources_of(due.tables) if not is_reference(source)]
    if needed and {*needed}.isdisjoint(due.client.sources):
        raise ConfigurationError(
            f"{due}: it is made from {', '.join(needed)}, and the client uses none of them"
        )


def _bring_up_to_date(due: ReportDay) -> None:
    """Models follow their sources within a minute or two; a report does not wait for that."""
    for name in models():
        if name in due.tables:
            run_model(name, due.client)
    with connected() as query:
        missing = [read for read in due.template.reads if not table_exists(query, *read)]
    if not missing:
        return
    if unknown := [read for read in missing if not sources_of([read])]:
        raise ConfigurationError(
            f"report template {due.template.name} reads {'.'.join(unknown[0])}, which no client's"
            " sources bring"
        )
    for source in sources_of(missing):
        create_tables(source)
