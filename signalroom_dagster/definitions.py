"""Everything Dagster sees. What it is made of stands in `defs`; nothing is decided here."""

import gc

import dagster as dg

from signalroom_dagster import logs
from signalroom_dagster.defs import daily_sync, jobs, schedules, sensors
from signalroom_dagster.defs.alerts import with_alerts
from signalroom_dagster.defs.assets.building import build_assets
from signalroom_dagster.defs.checks import build_checks
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.defs.scaffolding import with_scaffolded
from signalroom_dagster.defs.validation import refuse_what_is_set_aside

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
        sensors=[*sensors.build_sensors(sync)],
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
)
