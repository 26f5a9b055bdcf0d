"""Where the benchmarks keep their files: everything below `.bench/`, which git ignores, and the
committed report.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".bench"
FILES = FOLDER / "files"
WORK = FOLDER / "work"
PEERS = FOLDER / "peers"
REPORT = ROOT / "docs" / "benchmarks"
