"""What models and reports may call beside Postgres' own functions: see `FUNCTIONS`."""

from collections.abc import Mapping
from string import ascii_lowercase, ascii_uppercase

_DAY = (
    "CASE WHEN _1 ~ '^(0[1-9]|1[0-2])/(0[1-9]|[12][0-9]|3[01])/[12][0-9]{3}' "
    "THEN SUBSTRING(_1, 7, 4) || SUBSTRING(_1, 1, 2) || SUBSTRING(_1, 4, 2) "
    "WHEN _1 ~ '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])' "
    "THEN SUBSTRING(_1, 1, 4) || SUBSTRING(_1, 6, 2) || SUBSTRING(_1, 9, 2) END"
)
_MONTH = f"MAKE_DATE(CAST(SUBSTRING({_DAY}, 1, 4) AS INT), CAST(SUBSTRING({_DAY}, 5, 2) AS INT), 1)"
_DATE = f"({_MONTH} + (CAST(SUBSTRING({_DAY}, 7, 2) AS INT) - 1))"

_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""What Python's `strip` takes away, as the mapping's load does; each engine's TRIM differs."""

MOST_MONEY = "99999999999999.9999"
"""The largest amount that NUMERIC(18, 4) holds."""


def _read_number(pattern: str, kind: str) -> str:
    """A pattern's text as a number. Spaces are looked for only where they matter: it is costly."""
    return (
        f"CAST(CASE WHEN _1 ~ '^{pattern}$' THEN CAST(_1 AS {kind}) "
        f"WHEN trimmed(_1) ~ '^{pattern}$' THEN CAST(trimmed(_1) AS {kind}) END AS {kind})"
    )


FUNCTIONS: Mapping[str, Mapping[str, str]] = {
    "trimmed": {"postgres": f"TRIM(BOTH '{_SPACES}' FROM _1)"},
    "capitals": {"postgres": f"TRANSLATE(_1, '{ascii_lowercase}', '{ascii_uppercase}')"},
    "bytewise": {"postgres": '_1 COLLATE "C"', "duckdb": "_1"},
    "as_money": {
        "postgres": f"CAST(CASE WHEN ABS(_1) <= {MOST_MONEY} THEN _1 END AS NUMERIC(18, 4))",
        "duckdb": "TRY_CAST(_1 AS DECIMAL(18, 4))",
    },
    "safe_ratio": {
        "postgres": "as_money(ROUND(CAST(_1 AS NUMERIC) / NULLIF(_2, 0), 4))",
        # DuckDB divides decimals as doubles: half a cent would fall to either side. So in whole
        # ten-thousandths.
        "duckdb": (
            "as_money(CAST(CAST(SIGN(_1) * SIGN(_2) AS HUGEINT) * ((2 * CAST(ABS(_1) * 10000 AS"
            " HUGEINT) * 10000 + CAST(ABS(_2) * 10000 AS HUGEINT)) // NULLIF(2 * CAST(ABS(_2) *"
            " 10000 AS HUGEINT), 0)) AS DECIMAL(32, 0)) * CAST(0.0001 AS DECIMAL(5, 4)))"
        ),
    },
    "as_decimal": {
        "postgres": _read_number(
            r"-?([0-9]{1,13}(\.[0-9]+)?|[0-9]{14}(\.[0-9]{1,4})?)", "NUMERIC(18, 4)"
        )
    },
    "as_integer": {"postgres": _read_number("-?[0-9]{1,18}", "BIGINT")},
    "as_flag": {
        "postgres": (
            "CASE _1 WHEN 'YES' THEN TRUE WHEN 'NO' THEN FALSE ELSE CASE capitals(trimmed(_1)) WHEN"
            " 'YES' THEN TRUE WHEN '1' THEN TRUE WHEN 'NO' THEN FALSE WHEN '0' THEN FALSE END END"
        )
    },
    "as_day": {
        "postgres": (
            f"CASE WHEN EXTRACT(DAY FROM {_DATE}) = CAST(SUBSTRING({_DAY}, 7, 2) AS INT) THEN"
            f" {_DATE} END"
        )
    },
    "present": {
        "postgres": (
            "CASE WHEN _1 ~ '[0-9]' OR NOT capitals(trimmed(_1)) IN ('', 'N/A', 'NA') THEN _1 END"
        )
    },
    "is_unread": {
        "postgres": (
            "CASE WHEN _2 IS NULL THEN CASE WHEN present(_1) IS NULL THEN 0 ELSE 1 END ELSE 0 END"
        )
    },
    "newest_of": {
        # of texts that begin with their place the first, which costs Postgres less than an ordered
        # list of them
        "postgres": "SUBSTRING(MIN(LPAD(CAST(_2 AS TEXT), 12, '0') || bytewise(_1)), 13)",
        "duckdb": "ARG_MIN(_1, _2)",
    },
    "older_name": {
        "postgres": "CASE WHEN COUNT(_1) > 0 AND COUNT(_1) FILTER (WHERE _2) = 0 THEN _3 END"
    },
}
"""What a model may call beside Postgres' own functions, per engine; `postgres` serves both where it
stands alone. They may call each other.

`safe_ratio(a, b)` is a / b rounded half up to four places, NULL when b is 0. `as_money` is an
amount of four places as NUMERIC(18, 4), NULL for one too large for it. `trimmed` takes every kind
of space off a text's ends, `capitals` has a to z in upper case, `bytewise` is a text to be ordered
by, or to be the MIN or MAX of: by itself, each engine and each database orders text in its own way.
`as_decimal`, `as_integer`, `as_flag` (YES, NO, 1, 0) and `as_day` (MM/DD/YYYY or YYYY-MM-DD, a time
behind it cut off) read text and give NULL for any other; `present` is the text that says something,
so not N/A, and `is_unread(text, value)` is 1 where text says something and was not read, else 0.

`newest_of(text, place)` gives, in a group, the text of the lowest place that has one;
`older_name(text, is_newest, name)` the name when only rows that are not the newest have one, else
NULL.
"""
