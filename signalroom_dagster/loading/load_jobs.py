"""Which load job takes a table's tickets, by the table's hint `x-load`."""

from collections.abc import Mapping

from dlt.common.destination.client import RunnableLoadJob

from signalroom_dagster.loading.file_load import FileLoadJob
from signalroom_dagster.loading.slice_load import SliceLoadJob

LOAD_JOBS: Mapping[str | None, type[RunnableLoadJob]] = {
    "files": FileLoadJob,
    "slices": SliceLoadJob,
}
