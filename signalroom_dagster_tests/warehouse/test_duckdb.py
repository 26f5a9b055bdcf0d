"""A DuckDB file that cannot be opened, and why."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import WarehouseBusyError
from signalroom_dagster_tests.projects import Project


def damaged(path: Path) -> None:
    whole = path.with_name("whole")  # of its own name: DuckDB remembers what it had open
    duckdb.connect(str(whole)).close()
    content = bytearray(whole.read_bytes())
    content[12] = 99
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (lambda path: path.mkdir(), "w is a folder, not a DuckDB file: name another file"),
        (
            lambda path: path.write_text("a,b\n1,2\n"),
            "w is another kind of file, no DuckDB database: move it away",
        ),
        (
            lambda path: path.write_bytes(b""),
            "w is an empty file, no DuckDB database: move it away",
        ),
        (damaged, "w is damaged: restore it from a backup"),
    ],
)
def test_a_path_that_is_no_duckdb_file_is_told_as_what_it_is(
    project: Project, place: Callable[[Path], object], why: str
) -> None:
    project.set(DESTINATION__DUCKDB__CREDENTIALS="w")
    place(project.root / "w")
    with pytest.raises(ConfigurationError) as caught, access.exclusive(), access.connected():
        pass
    assert str(caught.value).startswith(why)
    assert "DESTINATION__DUCKDB__CREDENTIALS" in str(caught.value)


def test_a_file_that_another_program_has_open_is_busy_and_nothing_else(project: Project) -> None:
    hold = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True);"
        " sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(project.root / "warehouse.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout and other.stdout.readline() == "open\n"
        with (
            pytest.raises(WarehouseBusyError, match="another program has it open"),
            access.connected(),
        ):
            pass
        other.communicate("")
