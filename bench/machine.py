"""What a measurement ran on: enough to compare two reports, nothing that tells whose machine it
was.
"""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil

LIBRARIES = ("dlt", "duckdb", "psycopg2-binary", "dagster", "pandas")


def described(postgres: str, inputs: str) -> dict[str, Any]:
    """Cores, memory, versions, date, how busy it was, and the input files in words."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgres": postgres,
        "libraries": {name: version(name) for name in LIBRARIES},
        "load_average_at_start": round(os.getloadavg()[0], 1),
        "files": inputs,
    }
