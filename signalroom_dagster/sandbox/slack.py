"""A stand-in for Slack's Web API: a logical error is HTTP 200 with ok:false, texts and blocks have
limits, files go up in three steps. https://docs.slack.dev/apis/web-api
"""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Route

from signalroom_dagster.sandbox.outbox import TOKEN, Outbox, Sent

FIRST_TS = 1_767_607_200
LONGEST_SECTION, LONGEST_HEADER, MOST_BLOCKS, LONGEST_BLOCKS = 3_000, 150, 50, 13_000


def routes(outbox: Outbox) -> list[BaseRoute]:
    """The methods that SignalRoom calls, below `/slack/api`, and where files go."""
    methods: dict[str, Callable[..., Mapping[str, Any]]] = {
        "chat.postMessage": _post,
        "conversations.list": _channels,
        "conversations.history": _history,
        "files.getUploadURLExternal": _place,
        "files.completeUploadExternal": _show,
    }

    def endpoint(answer: Callable[..., Mapping[str, Any]]) -> Callable[[Request], Any]:
        async def asked(request: Request) -> JSONResponse:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return JSONResponse({"ok": False, "error": "invalid_auth"})
            try:
                return JSONResponse({"ok": True, **answer(outbox, await _given(request), request)})
            except ValueError as error:
                return JSONResponse({"ok": False, "error": str(error)})

        return asked

    async def upload(request: Request) -> PlainTextResponse:
        outbox.files[request.path_params["file"]] = content = await request.body()
        return PlainTextResponse(f"OK - {len(content)}")

    found: list[BaseRoute] = [
        Route(f"/slack/api/{name}", endpoint(answer), methods=["GET", "POST"])
        for name, answer in methods.items()
    ]
    return [*found, Route("/slack/upload/{file}", upload, methods=["POST"])]


def channel_id(channel: str) -> str:
    """The id of a channel, by name or id."""
    name = channel.removeprefix("#")
    return name if name.startswith("C0") else f"C0{zlib.crc32(name.encode()):08X}"


async def _given(request: Request) -> dict[str, Any]:
    body = await request.body()
    if request.headers.get("Content-Type", "").startswith("application/json"):
        return json.loads(body)
    return {**request.query_params, **dict(parse_qsl(body.decode()))}


def _post(outbox: Outbox, given: Mapping[str, Any], request: Request) -> Mapping[str, Any]:
    if not given.get("text"):
        raise ValueError("no_text")
    if given["channel"] == "#gone":
        raise ValueError("channel_not_found")
    _check_blocks(given.get("blocks") or [])
    ts = f"{FIRST_TS + len(outbox.sent)}.000100"
    key = (given.get("metadata") or {}).get("event_payload", {}).get("key", "")
    outbox.sent.append(Sent(ts, "slack", given["channel"], given["text"], key, dict(given)))
    return {
        "channel": channel_id(given["channel"]),
        "ts": ts,
        "message": {"text": given["text"], "ts": ts},
    }


def _check_blocks(blocks: list[Any]) -> None:
    texts = [(block["type"], block["text"]["text"]) for block in blocks]
    longest = {"header": LONGEST_HEADER, "section": LONGEST_SECTION}
    if len(blocks) > MOST_BLOCKS or any(not 0 < len(text) <= longest[kind] for kind, text in texts):
        raise ValueError("invalid_blocks")
    if sum(len(text) for _, text in texts) > LONGEST_BLOCKS:
        raise ValueError("msg_blocks_too_long")


def _channels(outbox: Outbox, given: Mapping[str, Any], request: Request) -> Mapping[str, Any]:
    names = {
        "alerts",
        "reporting",
        *(sent.recipient.removeprefix("#") for sent in outbox.of("slack")),
    }
    return {"channels": [{"id": channel_id(name), "name": name} for name in sorted(names)]}


def _history(outbox: Outbox, given: Mapping[str, Any], request: Request) -> Mapping[str, Any]:
    """Newest first, one page; only with metadata when it is asked for."""
    found = [
        sent
        for sent in reversed(outbox.of("slack"))
        if channel_id(sent.recipient) == given["channel"]
    ]
    with_metadata = given.get("include_all_metadata") in ("1", "true", True)
    threads = [shown["thread_ts"] for shown in outbox.shown]
    return {
        "messages": [
            {
                "ts": sent.id,
                "text": sent.text,
                **({"metadata": sent.fields["metadata"]} if with_metadata else {}),
                **({"reply_count": threads.count(sent.id)} if sent.id in threads else {}),
            }
            for sent in found
        ]
    }


def _place(outbox: Outbox, given: Mapping[str, Any], request: Request) -> Mapping[str, Any]:
    name = f"F0SANDBOX{len(outbox.files) + 1}"
    return {"file_id": name, "upload_url": str(request.base_url) + f"slack/upload/{name}"}


def _show(outbox: Outbox, given: Mapping[str, Any], request: Request) -> Mapping[str, Any]:
    files = json.loads(given["files"]) if isinstance(given["files"], str) else given["files"]
    if any(file["id"] not in outbox.files for file in files):
        raise ValueError("file_not_found")
    outbox.shown.append({**given, "files": files})
    return {"files": files}
