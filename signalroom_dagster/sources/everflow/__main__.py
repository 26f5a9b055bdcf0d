"""Everflow alone, into a DuckDB file: `EVERFLOW_API_KEY=... python -m
signalroom_dagster.sources.everflow`.
"""

import os

import dlt

from signalroom_dagster.sources.everflow import everflow

if __name__ == "__main__":
    pipeline = dlt.pipeline("everflow", destination="duckdb", dataset_name="everflow")
    print(pipeline.run(everflow(api_key=os.environ["EVERFLOW_API_KEY"])))  # noqa: T201 - an example to run by hand
