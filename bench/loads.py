"""The ways to load a bucket that are compared, each as a function of the bucket folder and the
database.

They run in a forked child, with the environment to themselves. What they load into is new and empty
unless the plan says otherwise. `database` is a Postgres URL or the path of a DuckDB file.
"""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.data import PREFIX, TABLE, files_of, header
from bench.places import WORK

CLIENT = "713"
DATASET = "s3_exports"
KEEP_ALL = {"cc_num_masked": "keep", "cc_expires": "keep"}


def signalroom(bucket: Path, database: str) -> None:
    """This project, as the command line and Dagster run it, with its default policy: two columns
    are dropped.
    """
    os.environ.update(signalroom_environment(bucket, database))
    from signalroom_dagster.loading import pipelines
    from signalroom_dagster.registry.clients import get_client
    from signalroom_dagster.warehouse import access

    with access.exclusive():
        pipelines.run_load("s3_exports", get_client(CLIENT), "bench")


def signalroom_keep_all(bucket: Path, database: str) -> None:
    """This project with every column kept: no row has to be taken apart."""
    os.environ[_setting("columns")] = json.dumps(KEEP_ALL)
    signalroom(bucket, database)


def raw_copy(bucket: Path, database: str) -> None:
    """The floor: COPY of the files as they are over one connection; no tags, no index, no
    ledger.
    """
    import psycopg2

    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} ({_text_columns('text')})")
    for path in files_of(bucket):
        with connection, connection.cursor() as cursor, path.open("rb") as rows:
            cursor.copy_expert(
                f"COPY {TABLE} FROM STDIN WITH (FORMAT csv, HEADER true)", rows, 1 << 20
            )
    connection.close()


def raw_read_csv(bucket: Path, database: str) -> None:
    """DuckDB's floor: INSERT … SELECT FROM read_csv, file by file, each in a transaction of its
    own.
    """
    import duckdb

    connection = duckdb.connect(database)
    connection.execute(f"CREATE TABLE {TABLE} ({_text_columns('VARCHAR')})")
    columns = ", ".join(f"'{_quote(name)}': 'VARCHAR'" for name in header())
    for path in files_of(bucket):
        connection.execute(
            f"INSERT INTO {TABLE} SELECT * FROM read_csv('{path}', auto_detect=false, header=true,"
            " delim=',', quote='\"', escape='\"', new_line='\\r\\n', all_varchar=true,"
            f" columns={{{columns}}})"
        )
    connection.close()


def original_design(bucket: Path, database: str) -> None:
    """What the project did first: dictionaries of csv.DictReader through stock dlt, merged on
    (file, row).
    """
    os.environ["DLT_PROJECT_DIR"] = str(WORK)  # dlt's own defaults, not this project's settings
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt

    @dlt.resource(name=TABLE, write_disposition="merge", primary_key=("_file_name", "_row_id"))
    def rows() -> Iterator[dict[str, Any]]:
        for path in files_of(bucket):
            with path.open(newline="", encoding="utf-8") as text:
                for number, row in enumerate(csv.DictReader(text), start=1):
                    yield {
                        "_file_name": path.name,
                        "_row_id": number,
                        "_file_date": path.stem[-10:],
                        **row,
                    }

    pipeline = dlt.pipeline(
        "original",
        pipelines_dir=str(WORK / "original"),
        destination=dlt.destinations.postgres(database),
        dataset_name=DATASET,
    )
    pipeline.run(rows())


def pandas_to_sql(bucket: Path, database: str) -> None:
    """pandas.read_csv as text, then to_sql with its default method (SQLAlchemy's insertmanyvalues
    on psycopg2).
    """
    import pandas
    from sqlalchemy import create_engine

    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg2://"))
    for path in files_of(bucket):
        pandas.read_csv(path, dtype=str).to_sql(TABLE, engine, if_exists="append", index=False)
    engine.dispose()


def signalroom_environment(bucket: Path, database: str) -> dict[str, str]:
    """What a load into `database` needs to be told; everything else is the project's own
    configuration.
    """
    name = "postgres" if database.startswith("postgresql") else "duckdb"
    return {
        "SIGNALROOM_DESTINATION": name,
        f"DESTINATION__{name.upper()}__CREDENTIALS": database,
        "SIGNALROOM_WORK_DIR": str(WORK),
        _setting("bucket_url"): f"file://{bucket}",
        _setting("prefixes"): json.dumps([PREFIX]),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }


def _setting(key: str) -> str:
    return f"SOURCES__S3_EXPORTS__CLIENTS__{CLIENT}__{key.upper()}"


def _text_columns(kind: str) -> str:
    return ", ".join(f'"{name}" {kind}' for name in header())


def _quote(text: str) -> str:
    return text.replace("'", "''")
