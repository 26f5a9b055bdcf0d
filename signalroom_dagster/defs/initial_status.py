"""Whether schedules and sensors run from the start: in production, and nowhere else until a person
starts them.
"""

import dagster as dg

from signalroom_dagster.config import environment


def of_sensors() -> dg.DefaultSensorStatus:
    """For sensors."""
    return dg.DefaultSensorStatus.RUNNING if _runs() else dg.DefaultSensorStatus.STOPPED


def of_schedules() -> dg.DefaultScheduleStatus:
    """For schedules."""
    return dg.DefaultScheduleStatus.RUNNING if _runs() else dg.DefaultScheduleStatus.STOPPED


def _runs() -> bool:
    return environment() == "production"
