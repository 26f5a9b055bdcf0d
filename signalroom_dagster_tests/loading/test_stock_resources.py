"""A table that asks for no load of ours is loaded as dlt loads it, also in our destinations."""

from pathlib import Path
from typing import Any

import dlt
import pytest

from signalroom_dagster.loading import pipelines
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loads import ask


@pytest.mark.parametrize("disposition", ["merge", "replace"])
@pytest.mark.usefixtures("any_warehouse")
def test_a_stock_resource_is_merged_or_replaced_by_dlts_own_staging(
    tmp_path: Path, disposition: Any
) -> None:
    for costs in ([1, 2], [3]):
        _run(
            tmp_path,
            disposition,
            [{"id": number, "cost": cost} for number, cost in enumerate(costs)],
        )
    rows = [(0, 3), (1, 2)] if disposition == "merge" else [(0, 3)]
    assert ask("SELECT id, cost FROM shop.spend ORDER BY id") == rows


def _run(folder: Path, disposition: Any, rows: list[dict[str, int]]) -> None:
    resource = dlt.resource(rows, name="spend", write_disposition=disposition, primary_key="id")
    with access.exclusive():
        pipeline = dlt.pipeline(
            "stock",
            pipelines_dir=str(folder),
            destination=pipelines.destination(),
            dataset_name="shop",
        )
        try:
            pipeline.run(resource)
        finally:
            pipeline.deactivate()
