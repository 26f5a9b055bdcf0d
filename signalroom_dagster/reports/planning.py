"""Whether reports can be made: each query planned with its subscription's parameters, each text of
a template compiled.

Needs no database and sends nothing.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from signalroom_dagster.config import ConfigurationError, shown
from signalroom_dagster.modeling.planning import check_plan
from signalroom_dagster.registry.clients import load_clients
from signalroom_dagster.reports.queries import DATE
from signalroom_dagster.reports.rendering import check_texts
from signalroom_dagster.reports.subscriptions import subscriptions
from signalroom_dagster.reports.templates import QUERIES, Template, get_template, template_names
from signalroom_dagster.warehouse.access import Query

DAY = date(2026, 3, 1)


def plan_reports(query: Query) -> Iterator[tuple[str, str, str]]:
    """Client, report and problem of each subscription that cannot be made; of a template itself
    without a client.

    `query` asks a warehouse that has every table of sources and models.
    """
    broken: set[str] = set()
    for name in template_names():
        try:
            template = get_template(name)
            check_texts(template)
            _check(query, template, "client", {})
        except ConfigurationError as error:
            broken.add(name)
            yield "", f"template {name}", str(error)
    for client in load_clients().values():
        for item in subscriptions(client):
            if item.template.name in broken:
                continue
            try:
                _check(query, item.template, client.id, item.params)
            except ConfigurationError as error:
                yield client.id, f"report {item.name}", str(error)


def _check(query: Query, template: Template, client_id: str, params: Mapping[str, Any]) -> None:
    for item in template.queries.values():
        text, values = item.statement("duckdb", client_id, {**params, DATE: DAY})
        where = f"{shown(template.folder / QUERIES)}: query {item.name}"
        check_plan(query, text, values, written=item.sql, where=where, first_line=item.line)
