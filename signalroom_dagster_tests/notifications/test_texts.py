"""Slack's mrkdwn and the GSM alphabet: what fits, what is escaped, and how a longer text is
shortened honestly.
"""

import pytest

from signalroom_dagster.notifications.gsm import fitted, is_gsm, places
from signalroom_dagster.notifications.mrkdwn import blocks, escaped, shortened


def test_a_value_cannot_make_a_mention_or_a_link() -> None:
    assert (
        escaped("<!channel> A & B <http://x|y>") == "&lt;!channel&gt; A &amp; B &lt;http://x|y&gt;"
    )


def test_a_text_that_fits_is_left_as_it_is() -> None:
    assert shortened("a\nb") == "a\nb"


def test_a_longer_text_is_cut_between_lines_and_says_how_many_are_missing() -> None:
    lines = [f"line {number}" for number in range(600)]
    text = shortened("\n".join(lines))
    assert len(text) <= 4_000
    *kept, note = text.split("\n")
    assert kept == lines[: len(kept)]
    assert note == f"… shortened: {600 - len(kept)} more lines"


def test_a_table_that_is_cut_is_closed_and_opened_again() -> None:
    table = "\n".join(
        ["Top affiliates", "```", *(f"{number:>6} Northwind Media" for number in range(300)), "```"]
    )
    assert shortened(table).count("```") == 2
    sections = [block["text"]["text"] for block in blocks("", table)]
    assert len(sections) > 1
    assert all(section.count("```") == 2 and len(section) <= 3_000 for section in sections)
    assert sum(section.count("Northwind") for section in sections) == 300


def test_one_endless_line_is_cut_at_a_space_and_never_inside_an_entity_or_a_link() -> None:
    for unit in ("word ", "A &amp; B ", "<http://example.test/a|a link> "):
        sections = [block["text"]["text"] for block in blocks("", unit * 900)]
        assert all(len(section) <= 3_000 for section in sections)
        assert all(section.count("<") == section.count(">") for section in sections)
        assert all(
            section.rstrip().endswith(("word", "A", "&amp;", "B", ">")) for section in sections
        )


def test_a_header_is_one_line_of_at_most_150_characters() -> None:
    (header,) = blocks("a\n" + "b" * 200, "")
    assert header["text"]["type"] == "plain_text"
    assert len(header["text"]["text"]) == 150
    assert header["text"]["text"].startswith("a bb")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Spend 12", "Spend 12"),
        ("Ñandú 5 €", "Ñandu 5 €"),
        ("“a” – b…", '"a" - b...'),
        ("ok 🎉", "ok ?"),
        ("a\u00a0b\u200b", "a b"),
    ],
)
def test_a_text_is_written_in_gsm(text: str, expected: str) -> None:
    assert fitted(text) == expected
    assert is_gsm(expected)


def test_the_euro_sign_and_brackets_take_two_places() -> None:
    assert places("a€[]") == 7
    assert fitted("€" * 80) == "€" * 80
    assert fitted("€" * 81) == "€" * 78 + "..."


@pytest.mark.parametrize("length", [159, 160])
def test_a_text_that_fits_one_segment_is_whole(length: int) -> None:
    assert fitted("a" * length) == "a" * length


def test_a_longer_text_ends_after_a_word_and_shows_that_it_is_cut() -> None:
    text = fitted("affiliates, " * 20)
    assert places(text) <= 160
    assert text.endswith("affiliates...")
