"""What is compared with what: one row per way to load, with its engine, the file counts it is run
at, and its name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import loads, peers

MANY = 182
"""The files of half a year, the load that this project was started for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to load a bucket. `repetitions` by file count; `in_process` is False where programs
    do the work.
    """

    key: str
    engine: str
    label: str
    load: Callable[[Path, str], None]
    repetitions: Mapping[int, int]
    in_process: bool = True
    missing: str | None = None


def variants() -> list[Variant]:
    """Every way to load, the floor of each engine first."""
    often = {1: 5, 4: 3, 16: 3}
    return [
        Variant(
            key="copy",
            engine="postgres",
            label="raw COPY, plain files, one connection",
            load=loads.raw_copy,
            repetitions=often,
        ),
        Variant(
            key="keep_all",
            engine="postgres",
            label="**SignalRoom**, all columns kept",
            load=loads.signalroom_keep_all,
            repetitions=often,
        ),
        Variant(
            key="default",
            engine="postgres",
            label="**SignalRoom**, default policy (2 columns dropped)",
            load=loads.signalroom,
            repetitions=often,
        ),
        Variant(
            key="pandas",
            engine="postgres",
            label="pandas.to_sql, default method",
            load=loads.pandas_to_sql,
            repetitions={1: 1},
        ),
        Variant(
            key="sling",
            engine="postgres",
            label=f"sling {peers.VERSIONS['sling']}, with its start",
            load=peers.sling,
            repetitions={1: 1, 4: 1},
            in_process=False,
            missing=peers.missing("sling"),
        ),
        Variant(
            key="ingestr",
            engine="postgres",
            label=f"ingestr {peers.VERSIONS['ingestr']}, with its start",
            load=peers.ingestr,
            repetitions={1: 1},
            in_process=False,
            missing=peers.missing("ingestr"),
        ),
        Variant(
            key="original",
            engine="postgres",
            label="original design: dict rows, merge, stock dlt",
            load=loads.original_design,
            repetitions={1: 1, 2: 1},
        ),
        Variant(
            key="read_csv",
            engine="duckdb",
            label="INSERT … SELECT FROM read_csv, file by file",
            load=loads.raw_read_csv,
            repetitions=often,
        ),
        Variant(
            key="duckdb_keep_all",
            engine="duckdb",
            label="**SignalRoom**, all columns kept",
            load=loads.signalroom_keep_all,
            repetitions=often,
        ),
        Variant(
            key="duckdb_default",
            engine="duckdb",
            label="**SignalRoom**, default policy (2 columns dropped)",
            load=loads.signalroom,
            repetitions=often,
        ),
    ]
