"""Every name that two parts of the system must agree on: pipelines, schemas, tables, columns, asset
keys.

Client ids and prefixes reach SQL and paths only through here.
"""

import functools
import re
import unicodedata
from collections.abc import Collection, Container, Iterable
from hashlib import blake2b

CLIENT_ID = re.compile(r"^[a-z0-9](?:[a-z0-9]|_(?!_))*\Z")
"""A client id: lower case, no double underscore (dlt's separator), safe in paths, names and SQL
literals.
"""

_PLAIN_NAME = re.compile(r"[a-z](?:[a-z0-9]|_(?!_))*\Z")
_TAKEN = re.compile(
    "analysis|analysis_consumer|daily_sync|events|information_schema|main|pg_.*|public|purge"
    "|reports|.*_report|system|temp"
)
"""Schemas and jobs that are not a source's."""
_SQL_WORDS = re.compile(
    "all|analyse|analyze|and|anti|any|array|as|asc|asof|asymmetric|at"
    "|authorization|binary|both|by|case|cast|check|collate|collation|column"
    "|concurrently|constraint|create|cross|current_catalog|current_date|current_role"
    "|current_schema|current_time|current_timestamp|current_user|default|deferrable"
    "|desc|describe|distinct|do|else|end|except|false|fetch|for|foreign|freeze"
    "|from|full|glob|grant|group|having|ilike|in|initially|inner|intersect|into"
    "|is|isnull|join|lambda|lateral|leading|left|like|limit|localtime"
    "|localtimestamp|natural|not|notnull|null|offset|on|only|or|order|outer"
    "|overlaps|pivot|placing|positional|primary|qualify|references|returning|right"
    "|select|semi|session_user|show|similar|some|summarize|symmetric|table"
    "|tablesample|then|to|trailing|true|union|unique|unpack|unpivot|user|using"
    "|variadic|verbose|when|where|window|with"
)
"""Words that stand for themselves in Postgres' or DuckDB's SQL."""

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
"""Columns that every table of Postgres has already: no other one can have such a name."""

_NOT_WORD = re.compile(r"[^a-zA-Z0-9]+")
_PLAIN = re.compile(r"""[a-zA-Z0-9 _.,:;/\\()\[\]{}'"?!-]*""").fullmatch
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")
_LIMIT = 63  # Postgres cuts identifiers there
_LONGEST = 60  # room for a suffix that keeps names apart
_REMEMBERED = 4096  # names: the files of a prefix have the same headers day by day


def load_step(source: str) -> str:
    """The step that loads a source."""
    return f"load_{source}"


def model_step(schema: str, table: str) -> str:
    """The step that makes a model's table."""
    return f"model_{schema}_{table}"


def report_step(report: str) -> str:
    """The step that makes and sends a report."""
    return f"report_{report}"


def report_job(report: str) -> str:
    """The job that makes and sends a report."""
    return f"{report}_report"


def wrong_name(name: str) -> str:
    """What is wrong with the name of a table or a column that a person chose; empty for nothing."""
    if not _PLAIN_NAME.match(name) or len(name) > _LONGEST:
        return f"it has to be small letters, digits and single underscores, {_LONGEST} at most"
    return f"{name} is a word of SQL: add another one" if _SQL_WORDS.fullmatch(name) else ""


def wrong_source_name(name: str) -> str:
    """What is wrong with the name of a source that a person chose, which is a schema and a job."""
    taken = f"{name} is the name of something else here" if _TAKEN.fullmatch(name) else ""
    return wrong_name(name) or taken


def pipeline_name(source: str, client_id: str) -> str:
    """One dlt pipeline per source and client: a shared one would mix two clients' states."""
    return f"{source}__{client_id}"


def staging_schema(source: str, client_id: str) -> str:
    """The schema in which loads of any dlt source are staged: nobody else's, for it is dropped."""
    digest = blake2b(f"{source}|{client_id}".encode(), digest_size=4).hexdigest()
    return f"signalroom_staging_{source}_{client_id}"[: _LONGEST - 9].rstrip("_") + f"_{digest}"


@functools.lru_cache(maxsize=_REMEMBERED)
def snake_case(name: str, longest: int = _LONGEST) -> str:
    """`Click ID` -> `click_id`, `orders-create` -> `orders_create`; a leading digit gets an
    underscore.
    """
    words = _NOT_WORD.sub("_", _HUMP.sub("_", name.strip())).strip("_").lower()
    return (f"_{words}" if words[:1].isdigit() else words)[:longest].rstrip("_")


@functools.lru_cache(maxsize=_REMEMBERED)
def column_name(header: str) -> str:
    """The column of a file's header cell, by its text alone: the snake_case of one in plain words,
    such as `Click ID`.

    A text that snake_case loses something of (`Discount (%)`, `Imię`, what is longer than a
    column's name) ends in a digest of the text, so that no other text has its name; an empty one is
    `unnamed`.
    """
    text = _text(header)
    name = snake_case(text)
    if not text:
        return "unnamed"
    if not _PLAIN(text) or not name or name != snake_case(text, len(text) * 2):
        return distinct_name(text)
    return f"{name}_2" if name in SYSTEM_COLUMNS else name


@functools.lru_cache(maxsize=_REMEMBERED)
def distinct_name(header: str) -> str:
    """A column's name that no other header text has."""
    text = _text(header)
    digest = blake2b(text.encode("utf-8", "backslashreplace"), digest_size=4).hexdigest()
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return f"{snake_case(latin, _LIMIT - len(digest) - 1) or 'column'}_{digest}"


def column_names(
    header: Iterable[str], known: Container[str] = (), written: Container[str] = ()
) -> list[str]:
    """The column of each header cell, whatever the cells' order; cells of the same text have the
    same one.

    Where texts that differ have one name (`Click ID`, `click_id`), it belongs to the text that is
    that name, else to the only one that is `written` so in a known header; each of the others gets
    a name of its own. One that has its own among the `known` columns of the table keeps it.
    """
    texts = [_text(cell) for cell in header]
    sharing: dict[str, set[str]] = {}
    for text in texts:
        sharing.setdefault(column_name(text), set()).add(text)
    owners = {name: _owner(name, found, written) for name, found in sharing.items()}

    def name_of(text: str) -> str:
        name, own = column_name(text), distinct_name(text)
        return name if owners[name] == text and (own not in known or text == name) else own

    return [name_of(text) for text in texts]


def numbered_names(header: Iterable[str]) -> list[str]:
    """The columns as earlier versions named them, by position: a policy may still say `column_2` or
    `notes_2`.
    """
    taken = set(SYSTEM_COLUMNS)
    copies: dict[str, int] = {}
    names: list[str] = []
    for position, cell in enumerate(header, start=1):
        wanted = name = snake_case(cell) or f"column_{position}"
        while name in taken:
            copies[wanted] = copies.get(wanted, 1) + 1
            suffix = f"_{copies[wanted]}"
            name = wanted[: _LIMIT - len(suffix)].rstrip("_") + suffix
        taken.add(name)
        names.append(name)
    return names


def _owner(name: str, texts: Collection[str], written: Container[str]) -> str | None:
    """Whose a name is of those that share it; nobody's where that cannot be told."""
    candidates = (
        [text for text in texts if text == name]
        or [text for text in texts if text in written]
        or [*texts]
    )
    return candidates[0] if len(candidates) == 1 else None


def _text(header: str) -> str:
    """A header cell without what nobody sees: white space around and doubled, byte order marks."""
    if header.isascii():
        return " ".join(header.split())
    visible = "".join(sign for sign in header if unicodedata.category(sign) != "Cf")
    return " ".join(unicodedata.normalize("NFC", visible).split())
