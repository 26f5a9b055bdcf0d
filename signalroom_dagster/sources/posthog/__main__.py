"""PostHog alone, into a DuckDB file, with `POSTHOG_API_KEY` and `POSTHOG_PROJECT` in the
environment: `python -m signalroom_dagster.sources.posthog`.
"""

import os

import dlt

from signalroom_dagster.sources.posthog import posthog

if __name__ == "__main__":
    pipeline = dlt.pipeline("posthog", destination="duckdb", dataset_name="posthog")
    source = posthog(
        api_key=os.environ["POSTHOG_API_KEY"], project_id=int(os.environ["POSTHOG_PROJECT"])
    )
    print(pipeline.run(source))  # noqa: T201 - an example to run by hand
