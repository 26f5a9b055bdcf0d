"""A vendor with one fault at a time, in this process: 35 rows in pages of 10, and their total.

`/<fault>/rows?offset=&limit=` answers as the fault of that name has it; `SAYS` tells what it does.
"""

import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROWS = 35
PAGE = 10
ALL = [{"id": number, "amount": number / 4} for number in range(ROWS)]


def _page(offset: int, limit: int = PAGE) -> list[dict[str, Any]]:
    return ALL[offset : offset + limit]


def _moved(offset: int, limit: int) -> list[dict[str, Any]]:
    """Rows of one moment, in another order on the third page: row 19 again, row 29 never."""
    return _page(19) if offset == 20 else _page(offset)


PAGES: Mapping[str, Callable[[int, int], list[dict[str, Any]]]] = {
    "nothing": _page,
    "short": lambda offset, limit: _page(offset)[:7] if offset == 10 else _page(offset),
    "clamp": lambda offset, limit: _page(offset, 5),
    "tie": _moved,
    "repeated": lambda offset, limit: _page(10) if offset == 20 else _page(offset),
    "empty": lambda offset, limit: [] if offset == 10 else _page(offset),
    "total": _page,
    "cap": lambda offset, limit: ALL[:30][offset : offset + limit],
}
TOTALS = {"total": 20, "cap": 30}
SAYS = {
    "nothing": "nothing is wrong",
    "short": "the second page is 3 rows short",
    "clamp": "a page has 5 rows, whatever `limit` asks for",
    "tie": "rows tie at a page's edge: one comes twice, one never",
    "repeated": "the third page is the second again",
    "empty": "the second page is empty",
    "total": "the total is too small",
    "cap": "no answer goes beyond row 30, the total neither",
    "error": "the second page is an error with status 200",
    "html": "the second page is a page to log in, with status 200",
    "cut": "the second page breaks off in the middle",
    "limit": "the second page is 429 once, with Retry-After: 1",
}


class _Vendor(BaseHTTPRequestHandler):
    refused: set[str] = set()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        fault = url.path.strip("/").split("/")[0]
        offset, limit = int(asked.get("offset", ["0"])[0]), int(asked.get("limit", ["10"])[0])
        body = {"items": PAGES.get(fault, _page)(offset, limit)}
        body |= {"total": TOTALS.get(fault, ROWS)}
        status, headers, text = 200, {"Content-Type": "application/json"}, json.dumps(body)
        if offset == PAGE and fault == "error":
            text = json.dumps({"error": "internal error"})
        if offset == PAGE and fault == "html":
            headers, text = {"Content-Type": "text/html"}, "<html>Please log in</html>"
        if offset == PAGE and fault == "limit" and url.path not in self.refused:
            self.refused.add(url.path)
            status, headers, text = 429, {"Retry-After": "1"}, "{}"
        self._send(status, headers, text, is_cut=offset == PAGE and fault == "cut")

    def _send(self, status: int, headers: Mapping[str, str], text: str, *, is_cut: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[: len(text) // 2].encode() if is_cut else text.encode())
        if is_cut:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def vendor() -> Generator[str]:
    """Its address, for the length of the block. Each reader has its own path below a fault's, so
    that a limit is met once by each.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Vendor)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
