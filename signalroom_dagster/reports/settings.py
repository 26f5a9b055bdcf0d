"""`[reports]`: what is set for all reports of all clients."""

from pydantic import BaseModel, Field

from signalroom_dagster.sections import section_settings


class ReportSettings(BaseModel):
    """`[reports]`: whether reports are sent at all (else everything but that is done), and how long
    one waits for its inputs, asking again every so many seconds.
    """

    send: bool = True
    wait_minutes: float = Field(default=60, ge=0)
    check_seconds: float = Field(default=60, gt=0)


def report_settings() -> ReportSettings:
    """The settings of reports: `REPORTS__SEND`, `REPORTS__WAIT_MINUTES`,
    `REPORTS__CHECK_SECONDS`.
    """
    return section_settings(ReportSettings, "reports")
