"""The 7-bit alphabet of text messages: what fits into one of 160 characters, and how a longer text
is shortened.

One character outside it turns the whole message into UCS-2, at 70 characters a piece.
https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
"""

import unicodedata

LONGEST = 160
BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("^{}\\[~]|€\f")
"""Characters that take two places."""
PLAIN = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "–": "-",
        "—": "-",
        "−": "-",
        "…": "...",
        "•": "*",
        "→": ">",
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "\t": " ",
        "×": "x",
        "±": "+/-",
        "≤": "<=",
        "≥": ">=",
    }
)
CUT = "..."


def places(text: str) -> int:
    """How many of a message's 160 places a GSM-7 text takes."""
    return len(text) + sum(character in EXTENDED for character in text)


def is_gsm(text: str) -> bool:
    """Whether every character is of the GSM-7 alphabet."""
    return all(character in BASIC or character in EXTENDED for character in text)


def fitted(text: str, longest: int = LONGEST) -> str:
    """The text in GSM-7 and one message: accents and signs are written plainly, what does not fit
    ends in `...`.
    """
    plain = "".join(map(_plain, text.strip().translate(PLAIN)))
    if places(plain) <= longest:
        return plain
    kept = plain
    while places(kept) > longest - len(CUT):
        kept = kept[:-1]
    word = kept.rsplit(" ", 1)[0] if plain[len(kept)] not in " \n" else kept
    return (word if len(word) >= len(kept) // 2 else kept).rstrip(" \n,;:-") + CUT


def _plain(character: str) -> str:
    if is_gsm(character):
        return character
    bare = "".join(
        part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)
    )
    return (
        bare
        if bare and is_gsm(bare)
        else ""
        if unicodedata.category(character) in ("Cf", "Mn")
        else "?"
    )
