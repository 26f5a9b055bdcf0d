"""Everything Dagster sees. What it is made of stands in `defs`; nothing is decided here.

https://docs.dagster.io/guides/build/projects-and-components
"""

import dagster as dg

from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.checks import build_load_checks
from signalroom_dagster.defs.jobs import build_source_job
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.defs.sensors import build_new_files_sensor
from signalroom_dagster.loading.catalog import check_clients, file_sources, source_names

check_clients()

defs = dg.Definitions(
    assets=[build_ingest_assets(source) for source in source_names()],
    asset_checks=[check for source in source_names() for check in build_load_checks(source)],
    jobs=[build_source_job(source) for source in source_names()],
    sensors=[build_new_files_sensor(source) for source in file_sources()],
    resources=RESOURCES,
    executor=dg.in_process_executor,
)
