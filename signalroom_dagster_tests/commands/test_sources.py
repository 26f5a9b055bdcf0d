"""`signalroom source`: a draft becomes a source by what `try` proposes; a recording stands in for
the vendor, and holds nobody's key or name.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from signalroom_dagster import cli
from signalroom_dagster.sandbox.recorded import routes
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project

DRAFT = """
[client]
base_url = "https://desk.example/api"
auth = { type = "api_key", name = "key", api_key = "{api_key}", location = "query" }

[resources.tickets]
[resources.tickets.endpoint]
path = "/tickets"
params = { size = 2 }
"""
PEOPLE = ("ada@example.com", "bob@example.com", "ada@example.com")


async def tickets(request: Request) -> Response:
    if request.query_params.get("key") != "key-of-the-desk":
        return JSONResponse({"error": "who are you?"}, 403)
    start = int(request.query_params.get("cursor", 0))
    rows = [
        {"id": n, "made_at": "2026-03-01T10:00:00Z", "by": {"mail": mail}, "hours": 0.25 * n}
        for n, mail in enumerate(PEOPLE)
    ]
    meta = {"total": 3} | ({"next": str(start + 2)} if start == 0 else {})
    return JSONResponse({"data": rows[start : start + 2], "meta": meta})


@pytest.fixture
def desk(project: Project) -> Iterator[VendorServer]:
    """A vendor, and a client with an account there."""
    with serve([Route("/api/tickets", tickets)]) as server:
        folder = project.root / "data" / "shared" / "sources"
        folder.mkdir(parents=True)
        (folder / "desk.toml").write_text(DRAFT)
        project.add_api_client(
            "713", "desk", api_key="key-of-the-desk", base_url=f"{server.url}/api"
        )
        yield server


def output_of(*arguments: str) -> str:
    """What the command prints, at 80 columns."""
    result = CliRunner().invoke(cli.app, ["source", *arguments], env={"COLUMNS": "80"})
    return f"{result.output}{result.exception or ''}"


def file_of(project: Project) -> Path:
    return project.root / "data" / "shared" / "sources" / "desk.toml"


def as_proposed(output: str) -> str:
    """The draft with what was proposed pasted where the output says."""
    lines = [line for line in output.splitlines() if line]
    inside = lines.index("# into the endpoint of tickets:")
    below = lines.index("# below [resources.tickets]:")
    top, endpoint = DRAFT.split("[resources.tickets]\n")
    columns = next(n for n, line in enumerate(lines) if line.startswith("[resources.tickets.col"))
    pasted = [top, "[resources.tickets]", *lines[below + 1 : columns], endpoint]
    return "\n".join([*pasted, *lines[inside + 1 : below], *lines[columns:]])


def test_what_try_proposes_makes_a_source_of_a_draft(project: Project, desk: VendorServer) -> None:
    shown = output_of("try", "desk", "--client", "713")
    assert "GET /api/tickets?size=2 -> " in shown and "2026-03-01T10:00:00Z" in shown
    assert 'primary_key = "id"  # unique among these 2 rows' in shown
    assert '# by_mail = "text by.mail"  # a person\'s' in shown
    assert "key-of-the-desk" not in shown
    assert max(map(len, shown.splitlines())) <= 100
    file_of(project).write_text(as_proposed(shown))
    load("desk")
    assert ask("SELECT id, hours FROM desk.tickets ORDER BY 1")[2][0] == 2
    again = output_of("try", "desk", "--client", "713", "-r", "tickets")
    assert "cursor=2" in again and "below [resources" not in again
    assert "3 rows were looked at" in again


def test_a_recording_stands_in_and_holds_no_key_and_nobodys_name(
    project: Project, desk: VendorServer
) -> None:
    proposed = as_proposed(output_of("try", "desk", "--client", "713"))
    text = proposed.replace("# by_mail", "by_mail")
    file_of(project).write_text(
        text.replace('primary_key = "id"', 'primary_key = "id"\npersonal = ["by.mail"]')
    )
    assert "2 answers of desk" in output_of("record", "desk", "--client", "713")
    recording = file_of(project).with_suffix(".recorded.json")
    kept = recording.read_text()
    assert not {"key-of-the-desk", "ada", desk.url} & {*kept.split('"')}
    assert "example.com" not in kept and json.loads(kept)[0]["query"]["key"] == "***"
    load("desk")
    columns = "id, hours, made_at"
    before = ask(f"SELECT {columns} FROM desk.tickets ORDER BY 1")
    with serve(routes("desk", recording)) as server:
        project.configure("713", "desk", api_key="any", base_url=f"{server.url}/desk")
        load("desk")
        assert len(server.requests) == 2
    assert ask(f"SELECT {columns} FROM desk.tickets ORDER BY 1") == before
    people = ask("SELECT by_mail FROM desk.tickets ORDER BY id")
    assert people == [("personal-1",), ("personal-2",), ("personal-1",)]


def test_what_goes_wrong_is_told_in_one_line(project: Project, desk: VendorServer) -> None:
    assert "there is no data/shared/sources/crm.toml: begin it" in output_of("try", "crm")
    assert "say which client: --client 713" in output_of("try", "desk")
    assert "no resource deals in desk" in output_of("try", "desk", "--client", "713", "-r", "deals")
    assert "resources.tickets.primary_key is missing" in output_of(
        "record", "desk", "--client", "713"
    )
    project.configure("713", "desk", api_key="wrong-key")
    refused = output_of("try", "desk", "--client", "713")
    assert "answered 403" in refused and "SOURCES__DESK__CLIENTS__713__API_KEY" in refused
    assert "wrong-key" not in refused
