"""How numbers and days are typed where a spreadsheet is at home, by its locale: `de_DE`, or a
language alone.

Only what a person typed as text depends on it: Google hands over numbers and days as numbers.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets#SpreadsheetProperties
"""

import re

AMERICAN = "en_US"
MONTH_FIRST = frozenset({"en", "en_US", "en_PH"})
_DECIMAL_COMMA = re.compile(
    "(az|be|bg|ca|cs|da|de|el|es|et|eu|fi|fr|gl|hr|hu|hy|id|is|it|ka|kk|lt|lv|mk|nb|nl|nn|no|pl|pt|ro|ru|sk|sl|sq|sr|"
    "sv|tr|uk|uz|vi)(_(?!(CH|LI|MX|US|PR|DO|GT|HN|NI|PA|PE|SV)$).*)?"
)
_SWAPPED = str.maketrans(",.", ".,")


def american(number: str, locale: str) -> str:
    """A number's text with a point before its fraction: 1.234 is a thousand and more where a comma
    parts it.
    """
    return number.translate(_SWAPPED) if _DECIMAL_COMMA.fullmatch(locale) else number
