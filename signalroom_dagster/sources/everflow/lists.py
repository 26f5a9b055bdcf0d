"""Everflow's paged lists, read whole: conversions, affiliates, offers, advertisers.

Rows move between pages while a list is read, a list grows, and some rows come twice. So nothing
counts as read before the rows are as many as Everflow says they are. Page sizes are the vendor's to
cut: the first page shows the real one.

https://developers.everflow.io/docs/user-guide/paging/
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from signalroom_dagster.sources.everflow.network import AT_ONCE, rows_of
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.parallel import read_ahead

log = logging.getLogger(__name__)

Page: TypeAlias = Callable[[int, int], Any]
"""Asks for one page by number, from 1, and size."""

PAGE_SIZES = (2000, 997, 503)
"""Tried one after the other: a row that is lost between two pages of one size mostly is not with
another.
"""


class Whole(NamedTuple):
    """A list's rows, each once, and how many different ones Everflow has."""

    rows: Sequence[Mapping[str, Any]]
    counted: int


class _Reading(NamedTuple):
    """One time through a list. `twins` are the same row twice on one page, which no shift between
    pages explains.
    """

    distinct: Mapping[Any, Mapping[str, Any]]
    twins: int
    counted: int


def whole_list(what: str, rows_key: str, id_key: str, page: Page) -> Whole:
    """Every row of a paged list once.

    Everflow's count sometimes includes rows that come twice: then a second reading has to find the
    same rows. Raises VendorDataError when rows and count never agree.
    """
    confirmed: list[frozenset[Any]] = []
    found = counted = 0
    for size in PAGE_SIZES:
        reading = _read(page, size, rows_key, id_key)
        found, counted = len(reading.distinct), reading.counted
        if found == counted:
            return Whole(list(reading.distinct.values()), counted)
        if found + reading.twins == counted:
            ids = frozenset(reading.distinct)
            if ids in confirmed:
                log.info("source everflow: %s: %d rows come twice", what, reading.twins)
                return Whole(list(reading.distinct.values()), found)
            confirmed.append(ids)
    raise VendorDataError(
        f"source everflow: {what}: {found} distinct rows, Everflow counts "
        f"{counted}, after reading it with pages of {', '.join(map(str, PAGE_SIZES))}"
    )


def _read(page: Page, size: int, rows_key: str, id_key: str) -> _Reading:
    first = page(1, size)
    shown = rows_of(first, rows_key)
    counted = _count(first, rows_key)
    effective = min(_paging(first).get("page_size") or size, len(shown) or size)
    pages = [shown]
    for answer in read_ahead(
        lambda number: page(number, size), range(2, math.ceil(counted / effective) + 1), AT_ONCE
    ):
        pages.append(rows_of(answer, rows_key))
        counted = _count(answer, rows_key)
    distinct: dict[Any, Mapping[str, Any]] = {}
    twins = 0
    nameless = count()
    for rows in pages:
        here: dict[Any, Mapping[str, Any]] = {}
        for row in rows:
            name = row.get(id_key)
            if not isinstance(
                name, str | int
            ):  # cannot be told from another one: none of them hides the others
                name = f"nameless row {next(nameless)}"
            twins += here.get(name) == row
            here[name] = row
        distinct |= here
    return _Reading(distinct, twins, counted)


def _count(answer: Any, rows_key: str) -> int:
    counted = _paging(answer).get("total_count")
    if not isinstance(counted, int):
        raise VendorDataError(
            f"source everflow: an answer with {rows_key} does not say how many there are"
        )
    return counted


def _paging(answer: Any) -> Mapping[str, Any]:
    found = answer.get("paging")
    return found if isinstance(found, dict) else {}
