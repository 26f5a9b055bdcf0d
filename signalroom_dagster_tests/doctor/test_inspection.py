"""A warehouse that another system filled: what is told of it, and that no load touches what is not
ours.
"""

import re
from pathlib import Path

import dlt
import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.doctor.inspection import inspect
from signalroom_dagster.loading import pipelines
from signalroom_dagster.modeling.runs import run_model
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loading.slices import SPEND, put, row
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.contexts import march

(MON,) = march([2])
MAPPING = """
CREATE TABLE public.affiliate_mapping (
    id SERIAL PRIMARY KEY, client_id TEXT NOT NULL, redtrack_source TEXT, redtrack_source_id TEXT
      NOT NULL,
    everflow_affiliate_id INTEGER, everflow_affiliate_label TEXT, everflow_advertiser_id INTEGER,
    everflow_advertiser_label TEXT, created_at TIMESTAMPTZ DEFAULT NOW(), updated_at TIMESTAMPTZ
      DEFAULT NOW(),
    UNIQUE (client_id, redtrack_source_id));
INSERT INTO public.affiliate_mapping (client_id, redtrack_source_id) VALUES ('713', 'aaa'),
('other', 'bbb')
"""


@pytest.fixture
def old_system(project: Project, postgres_url: str) -> Project:
    """The warehouse as the system before left it, and a client that is to be loaded into it."""
    project.use_postgres(postgres_url)
    project.add_client("713", prefixes=("orders-create", "orders-update", "prospects-create"))
    project.register("713", sources=("s3_exports", "everflow", "redtrack", "affiliate_mapping"))
    for schema, table in (("everflow", "daily_stats"), ("shop", "spend")):
        rows = [{"date": "2025-11-01", "affiliate_id": 1, "revenue": 1.5, "_client_id": "713"}]
        pipeline = dlt.pipeline(
            schema,
            pipelines_dir=str(project.root / "old"),
            destination=dlt.destinations.postgres(postgres_url),
            dataset_name=schema,
        )
        pipeline.run(rows, table_name=table, write_disposition="append")
        pipeline.deactivate()
    ask(MAPPING)
    ask("CREATE TABLE public.orders AS SELECT '713' AS _client_id, 1 AS number")
    ask("CREATE VIEW public.daily_performance AS SELECT 1 AS one")
    return project


def found() -> dict[str, str]:
    with access.connected() as query:
        return {item.subject: item.problem or item.what for item in inspect(query)}


def follow(advice: str) -> None:
    """Run the command that a message names."""
    command = re.search(r"ALTER (TABLE|SCHEMA) [\w.]+ RENAME TO \w+", advice)
    assert command, advice
    ask(command[0])


@pytest.mark.usefixtures("old_system")
def test_what_another_system_left_is_named_with_what_will_become_of_it() -> None:
    told = found()
    assert set(told) == {
        "schema everflow",
        "public.affiliate_mapping",
        "public.orders",
        "public.daily_performance",
        "row level security",
        "warehouse server",
    }
    assert "daily_stats of another system: a load refuses" in told["schema everflow"]
    assert "it is kept and gets redtrack_source_alias, _client_id" in told[
        "public.affiliate_mapping"
    ] or (
        "it is kept and gets _client_id, redtrack_source_alias" in told["public.affiliate_mapping"]
    )
    assert "everflow.daily_stats" in told["row level security"]


def test_a_load_refuses_a_table_of_another_system_until_it_is_moved_aside(
    old_system: Project, tmp_path: Path
) -> None:
    before = ask("SELECT * FROM shop.spend")
    with pytest.raises(Exception, match="another system made it") as refused:
        put(tmp_path, SPEND, [MON], [row(MON, "a", 1)])
    error = root_error(refused.value)
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith(
        "shop.spend is there, and another system made it: nothing was changed"
    )
    assert decide(refused.value, 1).wait is None
    assert ask("SELECT * FROM shop.spend") == before
    follow(str(error))
    put(tmp_path, SPEND, [MON], [row(MON, "a", 1)])
    assert ask("SELECT * FROM shop.spend_before") == before
    with pytest.raises(ConfigurationError, match="everflow.daily_stats is there"):
        pipelines.create_tables("everflow")
    follow(found()["schema everflow"])
    pipelines.create_tables("everflow")
    assert ask("SELECT count(*) FROM everflow_before.daily_stats") == [(1,)]


@pytest.mark.usefixtures("old_system")
def test_a_model_replaces_neither_a_table_nor_a_view_of_the_same_name() -> None:
    follow(found()["schema everflow"])
    for name in ("orders", "daily_performance"):
        with pytest.raises(
            ConfigurationError, match=f"public.{name} is there, and is not the table of the model"
        ) as said:
            run_model(("public", name), get_client("713"))
        follow(str(said.value))
        run_model(("public", name), get_client("713"))
    assert ask("SELECT number FROM public.orders_before") == [(1,)]
    assert ask("SELECT one FROM public.daily_performance_before") == [(1,)]


def test_the_affiliate_mapping_of_before_is_completed_secured_and_keeps_other_clients_rows(
    old_system: Project,
) -> None:
    file = old_system.root / "data" / "clients" / "713" / "mappings" / "internal-affiliates.csv"
    file.parent.mkdir()
    file.write_text(
        "redtrack.source,redtrack.source_id,everflow.affiliate_id,everflow.affiliate_label,everflow.advertiser_id\n"
        "Meta,aaa,1,Meta,1\n"
    )
    load("affiliate_mapping")
    assert ask(
        "SELECT id, _client_id, everflow_affiliate_label FROM public.affiliate_mapping ORDER BY 1"
    ) == [(1, "713", "Meta"), (2, "other", None)]
    told = found()
    assert "public.affiliate_mapping" not in told
    assert "public.affiliate_mapping" not in told["row level security"]


def test_a_duckdb_file_is_our_own(project: Project) -> None:
    project.add_client("713")
    assert found() == {}


def test_a_database_that_takes_no_writes_is_no_matter_of_rights(
    project: Project, postgres_url: str
) -> None:
    project.use_postgres(postgres_url)
    project.add_client("713")
    load("s3_exports")
    project.use_postgres(f"{postgres_url}?options=-c%20default_transaction_read_only%3Don")
    told = found()
    assert told["warehouse writes"].startswith("Postgres answers, and it takes no writes now")
    assert "roles --sql" not in str(told)
