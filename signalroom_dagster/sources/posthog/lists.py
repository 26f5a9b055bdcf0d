"""Feature flags and experiments: short lists, read whole each time, so that deleted ones vanish.

https://posthog.com/docs/api/feature-flags · https://posthog.com/docs/api/experiments
"""

from collections.abc import Iterator
from functools import partial
from typing import cast

from signalroom_dagster.kinds import UNREADABLE, as_integer
from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster.sources.parallel import read_ahead
from signalroom_dagster.sources.posthog.project import LISTS_AT_ONCE, Project
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Row


def read_feature_flags(project: Project) -> Answer:
    """The whole list of flags."""
    flags = _whole_list(project, "feature_flags")
    return Answer(flags.values(), counted=len(flags))


def read_experiments(project: Project) -> Answer:
    """Each experiment by itself: the list leaves out what it measures, and the archived ones unless
    asked for them.
    """
    listed = {
        **_whole_list(project, "experiments"),
        **_whole_list(project, "experiments", archived="true"),
    }
    numbers = [name for name in listed if isinstance(name, int)]
    answer = Answer((), counted=len(listed))

    def bodies() -> Iterator[Row]:
        yield from (row for name, row in listed.items() if isinstance(name, str))
        deleted = 0
        for body in read_ahead(partial(_experiment, project), numbers, LISTS_AT_ONCE):
            if body is None:
                deleted += 1
                answer.counted = len(listed) - deleted
            else:
                yield body

    answer.rows = bodies()
    return answer


def _experiment(project: Project, number: int) -> Row | None:
    """One experiment; None when it has been deleted since it was listed."""
    try:
        return project.ask("GET", f"{project.path}/experiments/{number}/")
    except VendorError as error:
        if error.status != 404:
            raise
        return None


def _whole_list(project: Project, name: str, **params: str) -> dict[int | str, Row]:
    """Every row of a list by its id; one without an id that can be read by a name, for the load to
    leave it out.

    Raises VendorDataError when they are not as many as PostHog counts.
    """
    found: dict[int | str, Row] = {}
    counted: int | None = None
    path = f"{project.path}/{name}/"
    for page in project.pages(name, **params):
        rows = page.get("results")
        if not isinstance(rows, list):  # taken for an empty list it would empty the table
            raise VendorDataError(
                project.api.about("GET", path, "answered what is not a list of rows")
            )
        for row in cast("list[Row]", rows):
            found[_id(row) or f"row {len(found)} of {sorted(params)}"] = row
        counted = page.get("count")
    if counted is not None and counted != len(found):
        raise VendorDataError(
            project.api.about("GET", path, f"gives {len(found)} rows and counts {counted}")
        )
    return found


def _id(row: Row) -> int | None:
    try:
        return as_integer(row.get("id"))
    except UNREADABLE:
        return None
