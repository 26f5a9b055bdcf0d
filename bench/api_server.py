"""A vendor for the API benchmark, in a process of its own: pages of nested JSON, with a latency
that can be set.
"""

import json
import multiprocessing
import random
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 10_000
PAGES = 20
SMALL_PAGE = 100


def row(number: int, rng: random.Random) -> dict[str, Any]:
    """One event as product analytics has them: a few scalars, and properties with more below
    them.
    """
    return {
        "uuid": f"{rng.getrandbits(128):032x}",
        "event": rng.choice(("$pageview", "purchase", "signup")),
        "created_at": (
            f"2026-03-{1 + number % 28:02}T10:{number % 60:02}:00.{number % 1_000_000:06}+00:00"
        ),
        "distinct_id": f"person-{number % 5_000}",
        "amount": round(rng.random() * 500, 2),
        "clicks": number % 97,
        "properties": {
            "$browser": "Chrome",
            "$os": "Android",
            "$screen_width": 412,
            "$screen_height": 915,
            "$current_path": f"/offer/{number % 300}",
            "$referrer": "direct",
            "utm": {"source": "s", "medium": "m"},
            "items": [{"sku": f"HSC-{number % 9}", "price": 35, "quantity": 1}],
            "flags": ["a", "b"],
            "$session_id": f"{rng.getrandbits(64):016x}",
            "$lib_version": "1.2.3",
            "plan": None,
        },
    }


@contextmanager
def api_server() -> Generator[str]:
    """Run the vendor; yields its URL. `/rows?page=N` has 10,000 rows a page, `/slow?page=N` 100
    after 50 ms.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(sending,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{receiving.recv()}"
    finally:
        process.terminate()
        process.join(10)


def _serve(started: Any) -> None:
    rng = random.Random(7)
    pages = [
        json.dumps({"rows": [row(page * PAGE + number, rng) for number in range(PAGE)]}).encode()
        for page in range(PAGES)
    ]
    small = [
        json.dumps({"rows": json.loads(page)["rows"][:SMALL_PAGE]}).encode() for page in pages[:1]
    ][0]

    class Vendor(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = (
            True  # head and body are two writes: the second would wait for the first's receipt
        )

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            number = int(parse_qs(asked.query).get("page", ["0"])[0])
            if asked.path == "/slow":
                time.sleep(0.05)
            body = (
                small
                if asked.path == "/slow"
                else pages[number]
                if number < PAGES
                else b'{"rows": []}'
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    started.send(server.server_port)
    server.serve_forever()
