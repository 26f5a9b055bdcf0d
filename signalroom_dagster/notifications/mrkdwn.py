"""Text as Slack reads it: values escaped, length and blocks within Slack's limits.

https://docs.slack.dev/messaging/formatting-message-text ·
https://docs.slack.dev/reference/block-kit/blocks
"""

import re
from collections.abc import Iterator
from typing import Any

LONGEST_TEXT = 4_000
LONGEST_SECTION = 3_000
LONGEST_HEADER = 150
FENCE = "```"
_OPEN_END = re.compile(r"(&\w{0,4}|<[^<>]*)\Z")


def escaped(value: object) -> str:
    """A value for use inside mrkdwn: it cannot make a link, a mention or a tag."""
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, cut at a line and saying how many lines are missing when it is longer than Slack
    takes.
    """
    if len(text) <= longest:
        return text
    kept = next(_pieces(text, longest - 60))
    missing = text.count("\n") - kept.count("\n") + (1 if kept.endswith(FENCE) else 0)
    return f"{kept}\n… shortened: {max(1, missing)} more lines"


def blocks(subject: str, text: str) -> list[dict[str, Any]]:
    """The subject as a header and the text as sections; a preformatted part that is cut is closed
    and opened again.
    """
    header: list[dict[str, Any]] = []
    if title := " ".join(subject.split()):
        header.append(
            {
                "type": "header",
                "text": {"type": "plain_text", "text": _ended(title, LONGEST_HEADER)},
            }
        )
    pieces = _pieces(text, LONGEST_SECTION)
    return header + [
        {"type": "section", "text": {"type": "mrkdwn", "text": piece}} for piece in pieces
    ]


def _ended(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _pieces(text: str, longest: int) -> Iterator[str]:
    """The text in pieces of at most `longest` characters, cut between lines wherever a line allows
    it.
    """
    room = longest - 2 * len(FENCE) - 2
    piece: list[str] = []
    fenced = False
    for line in _lines(text, room):
        if piece and sum(map(len, piece)) + len(piece) + len(line) > room:
            yield "\n".join([*piece, FENCE] if fenced else piece)
            piece = [FENCE] if fenced else []
        piece.append(line)
        fenced ^= line.count(FENCE) % 2 == 1
    if "".join(piece).strip():
        yield "\n".join([*piece, FENCE] if fenced else piece)


def _lines(text: str, room: int) -> Iterator[str]:
    """The lines; one that is too long is cut at a space, never inside an entity or a link."""
    for whole in text.split("\n"):
        line = whole
        while len(line) > room:
            start = _OPEN_END.sub("", line[:room])
            start = start if len(start) > room // 2 else line[:room]
            start = start.rpartition(" ")[0] or start
            yield start
            line = line[len(start) :].lstrip(" ")
        yield line
