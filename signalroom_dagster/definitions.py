"""Everything Dagster sees. What it is made of stands in `defs`; nothing is decided here."""

import gc
import warnings

import dagster as dg

from signalroom_dagster import logs
from signalroom_dagster.defs.alert_sensors import build_alert_sensors
from signalroom_dagster.defs.alerts import with_alerts
from signalroom_dagster.defs.assets.building import build_assets
from signalroom_dagster.defs.automation import build_automation_sensor
from signalroom_dagster.defs.checks import build_checks
from signalroom_dagster.defs.due_reports import build_due_reports_sensor
from signalroom_dagster.defs.event_consumer import build_supervisors
from signalroom_dagster.defs.jobs import build_jobs
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.defs.schedules import build_schedules
from signalroom_dagster.defs.sensors import build_new_files_sensor
from signalroom_dagster.defs.validation import refuse_what_is_set_aside
from signalroom_dagster.registry import catalog

gc.freeze()  # what is imported stays: neither a collection nor the process's end looks through it again
warnings.filterwarnings("ignore", "Parameter `execution_type`", dg.BetaWarning)  # Dagster's own, as it resolves assets
logs.guard()
refuse_what_is_set_aside()
defs = dg.Definitions(
    assets=with_alerts(build_assets()),
    asset_checks=with_alerts(build_checks()),
    jobs=build_jobs(),
    schedules=build_schedules(),
    sensors=[
        *map(build_new_files_sensor, catalog.file_sources()),
        build_automation_sensor(),
        *build_alert_sensors(),
        *build_due_reports_sensor(),
        *build_supervisors(),
    ],
    resources=RESOURCES,
    executor=dg.in_process_executor,
)
