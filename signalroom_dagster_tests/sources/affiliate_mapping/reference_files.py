"""Reference files for tests: mappings as a spreadsheet would save them, and tables of other
shapes.
"""

from collections.abc import Sequence
from pathlib import Path

HEADER = (
    "redtrack.source,redtrack.source_alias,redtrack.source_id,everflow.affiliate_id,everflow.affiliate_label,"
    "everflow.advertiser_id,everflow.advertiser_label"
)
META = "Test Meta A ,facebook,src-1,1,G2 - Meta ,1,ACME"
GOOGLE = "Test Google,google,src-2,1,G2 - Google,1,ACME"
UNMAPPED = "Test Mail,email,src-3,n/a,N/A,n/a,n/a"
PRICES = """
table = "price_list"
about = "What each course costs."
key = ["sku"]
[columns]
"sku" = "text"
"unit.price" = "decimal"
"seats" = "bigint"
"on sale" = "bool"
"valid from" = "date"
"order" = { type = "text", optional = true }
"""
PRICES_HEADER = "sku,unit.price,seats,on sale,valid from,order"


def mapping_folder(root: Path, client_id: str = "713") -> Path:
    """Where a client's reference files lie."""
    folder = root / "data" / "clients" / client_id / "mappings"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_mapping(root: Path, *rows: str, client_id: str = "713", header: str = HEADER) -> Path:
    """A client's `internal-affiliates.csv`, with byte-order mark and CRLF."""
    return write_lines(mapping_folder(root, client_id) / "internal-affiliates.csv", [header, *rows])


def write_prices(root: Path, *rows: str, client_id: str = "713", schema: str = PRICES) -> Path:
    """A table of another shape, with its schema file."""
    folder = mapping_folder(root, client_id)
    (folder / "prices.toml").write_text(schema, "utf-8")
    return write_lines(folder / "prices.csv", [PRICES_HEADER, *rows])


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    """A file of lines as Excel ends and marks them."""
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("utf-8-sig"))
    return path
