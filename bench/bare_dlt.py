"""The least that dlt takes to load one CSV file into DuckDB: what a cold start is held against. Run
as a program.
"""

import csv
import sys
from pathlib import Path

import dlt


def load(source: str, database: str, pipelines: str) -> None:
    """Append the rows of one file, as dictionaries."""
    with Path(source).open(newline="", encoding="utf-8") as text:
        pipeline = dlt.pipeline(
            "bare",
            pipelines_dir=pipelines,
            destination=dlt.destinations.duckdb(database),
            dataset_name="bare",
        )
        pipeline.run(csv.DictReader(text), table_name="orders_create", write_disposition="append")


if __name__ == "__main__":
    load(*sys.argv[1:])
