"""Everything Dagster sees. What it is made of stands in `defs`; nothing is decided here.

https://docs.dagster.io/guides/build/projects-and-components
"""

import dagster as dg

from signalroom_dagster.defs.alert_sensors import build_alert_sensors
from signalroom_dagster.defs.alerts import with_alerts
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.assets.models import build_model_assets
from signalroom_dagster.defs.assets.reference import build_reference_assets
from signalroom_dagster.defs.assets.reports import build_report_assets
from signalroom_dagster.defs.assets.status import build_status_asset
from signalroom_dagster.defs.automation import build_automation_sensor
from signalroom_dagster.defs.checks import build_checks
from signalroom_dagster.defs.jobs import build_jobs
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.defs.schedules import build_schedules
from signalroom_dagster.defs.sensors import build_new_files_sensor
from signalroom_dagster.loading import catalog

catalog.check_clients()
assets = [
    *map(build_ingest_assets, catalog.dlt_sources()),
    *map(build_reference_assets, catalog.reference_sources()),
    *build_model_assets(),
    *build_report_assets(),
    build_status_asset(),
]
defs = dg.Definitions(
    assets=with_alerts(assets),
    asset_checks=with_alerts(build_checks()),
    jobs=build_jobs(),
    schedules=build_schedules(),
    sensors=[*map(build_new_files_sensor, catalog.file_sources()), build_automation_sensor(), *build_alert_sensors()],
    resources=RESOURCES,
    executor=dg.in_process_executor,
)
