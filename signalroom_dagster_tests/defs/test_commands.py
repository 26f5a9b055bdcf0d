"""Dagster's own commands, as a user types them, each in a process of its own."""

import subprocess
import sys

import pytest

from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.projects import ROOT, Project, orders, write_export
from signalroom_dagster_tests.providers import Providers

ROWS = 400


def materialize(project: Project, client: str, number: int) -> subprocess.Popen[str]:
    """Start the command with a DAGSTER_HOME of its own: Dagster's SQLite cannot be created by two
    at once.
    """
    home = project.root / f"dagster-{number}"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize"]
    command += [
        "-m",
        "signalroom_dagster.definitions",
        "--select",
        "s3_exports/orders_create",
        "--partition",
        client,
    ]
    environment = project.process_environment(DAGSTER_HOME=str(home))
    return subprocess.Popen(
        command,
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_materializations_of_two_clients_at_once_are_exact_on_both_warehouses(
    any_warehouse: Project,
) -> None:
    for client, first in (("713", 0), ("cti", 10_000)):
        bucket = any_warehouse.add_client(client)
        for day in range(1, 4):
            rows = orders(range(first + day * 1000, first + day * 1000 + ROWS))
            write_export(bucket / f"orders-create/report_2026-03-{day:02}.csv", rows)
    running = [
        materialize(any_warehouse, client, number)
        for number, client in enumerate(("713", "cti", "713"))
    ]
    for process in running:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said
    with access.exclusive(), access.connected() as query:
        found = query(
            "SELECT _client_id, count(*), count(DISTINCT orders_id) FROM s3_exports.orders_create"
            " GROUP BY 1"
        )
    assert {client: (rows, ids) for client, rows, ids in found} == {
        "713": (3 * ROWS, 3 * ROWS),
        "cti": (3 * ROWS, 3 * ROWS),
    }


@pytest.mark.slow
def test_a_materialization_that_fails_on_the_command_line_alerts_once(
    project: Project, providers: Providers
) -> None:
    project.add_client("713")
    project.configure("713", BUCKET_URL="")
    process = materialize(project, "713", 1)
    said, _ = process.communicate(timeout=240)
    assert process.returncode != 0, said
    texts = [sent.text for sent in providers.outbox.of("slack")]
    assert len(texts) == 1
    assert texts[0].startswith(
        "🔴 s3_exports does not load (client 713)\nConfigurationError: client 713"
    )
    assert texts[0].endswith("Next: `signalroom doctor --client 713`")
