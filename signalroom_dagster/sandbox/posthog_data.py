"""What the PostHog stand-in tells of: one client's project, its events, its feature flags and its
experiments.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from signalroom_dagster.sandbox.market import MARKETS, Click, clicks_of, local_day, sales_of
from signalroom_dagster.sandbox.shops import last_day

CLAMP = 50_000
PROJECTS = {"713": 713_001, "cti": 713_002}
MADE = datetime(2026, 1, 5, 10, tzinfo=UTC)
WATCHED = 4
"""One in so many clicks without a sale has a page view in PostHog; those with a sale all have one.
"""


@dataclass
class PosthogProject:
    """One client's project. Events stand in no order; flags and experiments are as their own
    addresses show them.

    The switches stand for what the vendor was seen to do: `zone` is the project's, `naive` leaves
    offsets out, `flat_types` and `turned_columns` answer in another shape, `clamp` is the longest
    page, `always_cached` answers from the cache even when asked not to, `hourly` is a legacy team's
    allowance, `largest_page` that of a list. `on_query` is called with each query before it is
    answered.
    """

    key: str
    id: int
    events: list[dict[str, Any]] = field(default_factory=list[Any])
    flags: list[dict[str, Any]] = field(default_factory=list[Any])
    experiments: list[dict[str, Any]] = field(default_factory=list[Any])
    zone: str = "America/New_York"
    naive: bool = False
    flat_types: bool = False
    turned_columns: bool = False
    clamp: int = CLAMP
    always_cached: bool = False
    hourly: int | None = None
    largest_page: int = 100
    on_query: Callable[[str], None] = lambda _: None
    answered: dict[str, Any] = field(default_factory=dict[str, Any])
    queries: int = 0


def sandbox_project(client_id: str) -> PosthogProject:
    """A client's project, told from the sandbox's market."""
    flags = [
        flag_row(number, name)
        for number, name in enumerate(("new-checkout", "short-form", "banner"), 1)
    ]
    archived = experiment_row(2, "Old headline", archived=True, conclusion="won")
    return PosthogProject(
        key=posthog_key(client_id),
        id=PROJECTS[client_id],
        events=list(_events(client_id)),
        flags=flags,
        experiments=[experiment_row(1, "Short form"), archived],
        largest_page=2,
    )


def posthog_key(client_id: str) -> str:
    """The personal API key that the sandbox hands out for one client's project."""
    return f"phx_sandbox-{client_id}"


def event_row(
    number: str,
    name: str,
    created_at: datetime,
    *,
    timestamp: datetime | None = None,
    person: str = "p1",
    **more: Any,
) -> dict[str, Any]:
    """An event as it is stored; `number` names it, `more` are its properties. A visitor has one
    session.
    """
    properties = {"$session_id": f"session-{person}", "$lib": "web", "$ip": "192.0.2.10", **more}
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"posthog.example.test/{number}")),
        "event": name,
        "timestamp": timestamp or created_at,
        "created_at": created_at,
        "distinct_id": f"visitor-{person}",
        "person_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"posthog.example.test/persons/{person}")),
        "properties": json.dumps(properties),
    }


def flag_row(number: int, key: str, **values: Any) -> dict[str, Any]:
    """A feature flag as the API shows it."""
    return {
        "id": number,
        "key": key,
        "name": f"What {key} is for",
        "active": True,
        "deleted": False,
        "version": 1,
        "filters": {
            "groups": [{"properties": [], "rollout_percentage": 50, "variant": None}],
            "payloads": {},
            "multivariate": None,
        },
        "rollout_percentage": 50,
        "is_simple_flag": True,
        "ensure_experience_continuity": False,
        "experiment_set": [],
        "tags": [],
        "evaluation_tags": [],
        "evaluation_runtime": "all",
        "status": "ACTIVE",
        "created_by": _maker(),
        "created_at": MADE.isoformat(),
        "updated_at": None,
        "last_called_at": None,
        **values,
    }


def experiment_row(number: int, name: str, **values: Any) -> dict[str, Any]:
    """An experiment as its own address shows it."""
    return {
        "id": number,
        "name": name,
        "description": "",
        "type": "product",
        "status": "running",
        "start_date": MADE.isoformat(),
        "end_date": None,
        "feature_flag_key": "new-checkout",
        "feature_flag": {"id": 1, "key": "new-checkout"},
        "holdout_id": None,
        "exposure_cohort": None,
        "parameters": {
            "feature_flag_variants": [
                {"key": "control", "rollout_percentage": 50},
                {"key": "test", "rollout_percentage": 50},
            ]
        },
        "metrics": [
            {"kind": "ExperimentMetric", "metric_type": "mean", "source": {"event": "purchase"}}
        ],
        "metrics_secondary": [],
        "secondary_metrics": [],
        "saved_metrics": [],
        "exposure_criteria": None,
        "stats_config": {"method": "bayesian"},
        "scheduling_config": None,
        "filters": {},
        "archived": False,
        "deleted": False,
        "conclusion": None,
        "conclusion_comment": None,
        "created_by": _maker(),
        "created_at": MADE.isoformat(),
        "updated_at": MADE.isoformat(),
        **values,
    }


def _events(client_id: str) -> Iterator[dict[str, Any]]:
    """A page view for each click that sold something and for a sample of the others, a purchase for
    each sale.

    Some come in late, some twice, and some share their instant with others: the server takes them
    in by batches.
    """
    sold = {sale.click.id for sale in sales_of(client_id)}
    for click in clicks_of(client_id):
        mark = int(click.id[:8], 16)
        if click.id not in sold and mark % WATCHED:
            continue
        viewed = _seen(
            client_id,
            click,
            "$pageview",
            click.at,
            **{"$current_url": "https://example.test/offer"},
        )
        yield viewed
        if mark % 211 == 0:  # sent twice, and not merged yet
            yield viewed
    for sale in sales_of(client_id):
        amount = {"order_id": sale.order_id, "value": float(sale.amount), "currency": "USD"}
        yield _seen(client_id, sale.click, "purchase", sale.at, **amount)


def _seen(client_id: str, click: Click, name: str, at: datetime, **more: Any) -> dict[str, Any]:
    mark = int(click.id[8:16], 16)
    late = timedelta(days=1) if mark % 97 == 0 and local_day(at) < last_day() else timedelta(0)
    taken_in = (at + late).replace(second=at.second // 10 * 10) + timedelta(seconds=12)
    if local_day(taken_in) > last_day():
        taken_in = at
    return event_row(
        f"{client_id}/{click.id}/{name}",
        name,
        taken_in,
        timestamp=at,
        person=click.tracked_as[:12],
        transaction_id=click.id,
        offer=MARKETS[client_id].offer_name,
        affiliate=click.affiliate.label,
        **more,
    )


def _maker() -> dict[str, Any]:
    return {"id": 5, "first_name": "T", "email": "maker@example.test"}
