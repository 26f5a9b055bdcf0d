"""Every sensor there is."""

from collections.abc import Iterator

import dagster as dg

from signalroom_dagster.defs.alert_sensors import build_alert_sensors
from signalroom_dagster.defs.automation import build_automation_sensor
from signalroom_dagster.defs.daily_sync import build_daily_sync_sensor
from signalroom_dagster.defs.due_reports import build_due_reports_sensor
from signalroom_dagster.defs.event_consumer import build_supervisors
from signalroom_dagster.defs.new_files import build_new_files_sensor
from signalroom_dagster.registry import catalog


def build_sensors(daily_sync: dg.JobDefinition) -> Iterator[dg.SensorDefinition]:
    """For new files, models, `daily_sync`, alerts, due reports and the consumer of events."""
    yield from map(build_new_files_sensor, catalog.file_sources())
    yield build_automation_sensor()
    yield build_daily_sync_sensor(daily_sync)
    yield from build_alert_sensors()
    yield from build_due_reports_sensor()
    yield from build_supervisors()
