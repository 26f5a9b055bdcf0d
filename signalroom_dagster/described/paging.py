"""Page after page of a described API, by dlt's paginators, with a look at what they do not notice.

dlt goes on while a paginator says so. Here a page that comes twice, one that is shorter than those
around it, one that is empty in the middle, and an end that is none are noticed: at once, where rows
are surely lost, else as a remark for whoever compares what was read with the vendor's own count.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dlt.sources.helpers.rest_client.paginators import (
    BaseNextUrlPaginator,
    BasePaginator,
    BaseReferencePaginator,
    OffsetPaginator,
    RangePaginator,
)

from signalroom_dagster.described.asking import Account, Answer, Request
from signalroom_dagster.described.selecting import rows_at
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sources.http import VendorDataError

PAGINATORS = ("single_page", "cursor", "json_link", "header_link", "header_cursor", "offset")
OTHER_SHAPE = (ValueError, LookupError, TypeError, AttributeError)


@dataclass(slots=True)
class Page:
    """One answer, and the rows in it."""

    answer: Answer
    rows: list[Any]


@dataclass(slots=True)
class Pages:
    """A question to a described API, page by page. `remarks` are known once all have been taken:
    why rows may be missing though the paginator ended as it should.

    `proves_nothing` is a reading without the vendor's own count: then an end is looked behind.
    Where there is a count of rows, `expected`, nobody asks on after as many and a short page.
    """

    account: Account
    request: Request
    paginator: BasePaginator
    selector: str
    proves_nothing: bool = True
    expected: int | None = None
    remarks: list[str] = field(default_factory=list[str])
    _sizes: list[int] = field(default_factory=list[int])

    def __iter__(self) -> Iterator[Page]:
        """The pages. Raises VendorDataError for a page that comes twice, and for an answer without
        what it should have.
        """
        asked, before = set[str](), list[Any]()
        self._step(self.paginator.init_request, self.request)
        while True:
            if (signature := self._signature()) in asked:
                raise VendorDataError(
                    self._about("sent us to a page that we have had: its pages go in a circle")
                )
            asked.add(signature)
            page = self._page()
            if page.rows and page.rows == before:
                raise VendorDataError(self._about(f"sent a page of {len(page.rows)} rows twice"))
            before = page.rows
            self._note(len(page.rows))
            yield page
            if not self._goes_on(page):
                break
            self._step(self.paginator.update_request, self.request)
        self._look_behind()

    @property
    def counts_rows(self) -> bool:
        """Whether pages are asked for by number or offset: then a short one has lost rows. Behind a
        cursor a page may be short by right.
        """
        return isinstance(self.paginator, RangePaginator)

    def _page(self) -> Page:
        answer = self.account.send(self.request)
        return Page(answer, self._rows(answer.body))

    def _rows(self, body: Any) -> list[Any]:
        rows = rows_at(self.selector, body)
        if rows is None:
            raise VendorDataError(self._about(f"answered without `{self.selector}`"))
        if any(not isinstance(row, Mapping) for row in rows):
            raise VendorDataError(self._about(f"answered no rows at `{self.selector}`"))
        return rows

    def _note(self, size: int) -> None:
        """A page that has rows though one before it was short: those between may be missing."""
        full = self.paginator.limit if isinstance(self.paginator, OffsetPaginator) else 0
        full = max(full, *self._sizes, 0)
        short = [
            f"page {number} had {length} rows where {full} are a page, and more followed"
            for number, length in enumerate(self._sizes, 1)
            if length < full
        ]
        if size:
            self.remarks = short[:3]
        self._sizes.append(size)

    def _goes_on(self, page: Page) -> bool:
        """Whether there is a page after this one, by what it says."""
        paginator, size = self.paginator, len(page.rows)
        start = getattr(paginator, "current_value", 0)
        self._step(paginator.update_state, page.answer, page.rows)
        if isinstance(paginator, BaseReferencePaginator):
            return paginator.has_next_page and bool(getattr(paginator, "_next_reference", None))
        if isinstance(paginator, OffsetPaginator) and 0 < size < paginator.limit:
            # after a short page: right behind it, where nothing is if it was the last one
            paginator.current_value = start + size
        is_enough = self.expected is not None and sum(self._sizes) >= self.expected
        return paginator.has_next_page and (self._is_full(size) or not is_enough)

    def _look_behind(self) -> None:
        """Ask for one page more where an end need not be one: after an empty page of a list that
        nobody has counted, and after a full one that was said to be the last.
        """
        paginator, last = self.paginator, self._sizes[-1]
        if not isinstance(paginator, RangePaginator):
            return
        if last == 0 and self.proves_nothing:
            paginator.current_value += paginator.value_step
        elif not self._is_full(last):
            return
        self._step(paginator.update_request, self.request)
        if more := len(self._page().rows):
            end = "an empty page" if last == 0 else "the page that it called the last"
            self.remarks.append(f"{more} rows stand behind {end}")

    def _is_full(self, size: int) -> bool:
        """Whether a page has as many rows as a page has; of a single one only an offset knows."""
        if isinstance(self.paginator, OffsetPaginator):
            return size >= self.paginator.limit
        return len(self._sizes) > 1 and 0 < size == max(self._sizes)

    def _step(self, step: Any, *arguments: Any) -> None:
        """What a paginator does; its own words would quote the answer."""
        try:
            step(*arguments)
        except OTHER_SHAPE:
            what = f"does not say what its paginator looks for ({_paths(self.paginator)})"
            raise VendorDataError(self._about(what)) from None

    def _signature(self) -> str:
        return repr((self.request.url, self.request.params, self.request.json))

    def _about(self, what: str) -> str:
        return self.account.about(self.request, what)


def paginator_from(described: Mapping[str, Any]) -> BasePaginator:
    """A new paginator of dlt's. Raises ConfigurationError for one that there is not, and for
    arguments that do not fit.

    What counts pages need not be told how many there are: it ends behind the last.
    """
    from dlt.sources.rest_api.config_setup import PAGINATOR_MAP

    given = dict(described)
    name = str(given.pop("type", "auto"))
    if name not in (*PAGINATORS, "page_number"):
        there_are = ", ".join((*PAGINATORS, "page_number"))
        raise ConfigurationError(f"paginator: no type {name} (there are: {there_are})")
    if name in ("offset", "page_number"):
        given.setdefault("total_path", "")
    try:
        return PAGINATOR_MAP[name](**given)
    except Exception as error:  # also a JSONPath that is none, whose errors have no common class
        _, _, what = str(error).partition("() ")
        raise ConfigurationError(f"paginator {name}: {what or error}") from None


def _paths(paginator: BasePaginator) -> str:
    named = {
        name: getattr(paginator, name, None)
        for name in ("next_url_path", "cursor_path", "total_path", "has_more_path")
    }
    paths = [f"{name} = {value}" for name, value in named.items() if value]
    return ", ".join(paths) or (
        "next page" if isinstance(paginator, BaseNextUrlPaginator) else "it"
    )
