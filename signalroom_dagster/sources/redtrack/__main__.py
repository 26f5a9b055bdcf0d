"""RedTrack alone, into a DuckDB file: `REDTRACK_API_KEY=... python -m
signalroom_dagster.sources.redtrack`.
"""

import os

import dlt

from signalroom_dagster.sources.redtrack import redtrack

if __name__ == "__main__":
    pipeline = dlt.pipeline("redtrack", destination="duckdb", dataset_name="redtrack")
    print(pipeline.run(redtrack(api_key=os.environ["REDTRACK_API_KEY"])))  # noqa: T201 - an example to run by hand
