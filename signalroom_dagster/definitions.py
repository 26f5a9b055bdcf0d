"""Everything Dagster sees. What it is made of stands in `defs`; nothing is decided here."""

import gc

import dagster as dg

from signalroom_dagster import logs
from signalroom_dagster.defs import (
    alert_sensors,
    automation,
    daily_sync,
    due_reports,
    event_consumer,
    jobs,
    schedules,
    sensors,
)
from signalroom_dagster.defs.alerts import with_alerts
from signalroom_dagster.defs.assets.building import build_assets
from signalroom_dagster.defs.checks import build_checks
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.defs.scaffolding import with_scaffolded
from signalroom_dagster.defs.validation import refuse_what_is_set_aside
from signalroom_dagster.registry import catalog

# what is imported stays: neither a collection nor the process's end looks through it again
gc.freeze()
logs.guard()
refuse_what_is_set_aside()
sync = daily_sync.build_daily_sync()
defs = with_scaffolded(
    dg.Definitions(
        assets=with_alerts(build_assets()),
        asset_checks=with_alerts(build_checks()),
        jobs=[*jobs.build_jobs(), sync],
        schedules=schedules.build_schedules(),
        sensors=[
            *map(sensors.build_new_files_sensor, catalog.file_sources()),
            automation.build_automation_sensor(),
            daily_sync.build_daily_sync_sensor(sync),
            *alert_sensors.build_alert_sensors(),
            *due_reports.build_due_reports_sensor(),
            *event_consumer.build_supervisors(),
        ],
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
)
