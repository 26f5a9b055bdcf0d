"""The files that bring SignalRoom to a machine: each is read by what reads it in earnest, as far as
that is here.
"""

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import httpx
import jsonschema
import pytest
import typer
import yaml

from signalroom_dagster.config import state_dir
from signalroom_dagster_tests.postgres import PASSWORD, free_port
from signalroom_dagster_tests.postgres import PostgresServer as Server
from signalroom_dagster_tests.running.dagster_dev import is_alive, wait_for

PROJECT = Path(__file__).resolve().parent.parent
DEPLOY = PROJECT / "deploy"
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
FLY = tomllib.loads((DEPLOY / "fly.toml").read_text())
HELM = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
HASH = (  # of the word "right"; cheap, for a test
    "$2a$04$AJENqDPLu4gf3I4ShbdtP.olLULBktsRYadIMlFkVEwa7ud/ZRj0C"
)


@pytest.fixture(autouse=True)
def _no_dagster_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DAGSTER")]:
        monkeypatch.delenv(name)


def test_the_compose_file_keeps_to_the_published_schema() -> None:
    published = files("check_jsonschema.builtin_schemas.vendor").joinpath("compose-spec.json")
    schema = json.loads(published.read_text("utf-8"))
    jsonschema.validate(COMPOSE, schema)
    misspelt = {**COMPOSE, "services": {**SERVICES, "proxy": {**SERVICES["proxy"], "portz": []}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(misspelt, schema)


def test_only_the_proxy_publishes_ports_and_without_a_domain_to_this_machine_only() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"proxy"}
    assert all(
        port.startswith("${SIGNALROOM_BIND:-127.0.0.1}:") for port in SERVICES["proxy"]["ports"]
    )
    assert COMPOSE["networks"]["inside"]["internal"] and SERVICES["postgres"]["networks"] == [
        "inside"
    ]


def test_every_service_that_stays_is_restarted_checked_and_read_only() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        if name != "migrate":
            assert service["restart"] == "unless-stopped" and service["healthcheck"]["test"], name
    assert SERVICES["daemon"]["depends_on"]["code-server"]["condition"] == "service_healthy"
    assert (
        SERVICES["code-server"]["depends_on"]["migrate"]["condition"]
        == "service_completed_successfully"
    )


def test_no_secret_stands_in_a_file_and_each_setting_of_compose_is_explained() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert "PASSWORD" not in key or value.startswith("${"), key
    example = set(
        re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    )
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) <= example
    assert not any(re.search("PASSWORD|TOKEN|KEY|CREDENTIALS", key) for key in FLY["env"])
    assert "postgresqlPassword" not in HELM["postgresql"]


def test_every_variable_of_the_old_system_is_told_what_replaces_it() -> None:
    example = (PROJECT / ".env.example").read_text()
    old = """SUPABASE_DB_HOST SUPABASE_DB_PORT SUPABASE_DB_NAME SUPABASE_DB_USER
      SUPABASE_DB_PASSWORD AWS_ACCESS_KEY_ID
        AWS_SECRET_ACCESS_KEY AWS_REGION S3_BUCKET_NAME S3_PREFIX EVERFLOW_API_KEY REDTRACK_API_KEY
          POSTHOG_API_KEY
        POSTHOG_PROJECT_ID POSTHOG_HOST MAUTIC_BASE_URL MAUTIC_CLIENT_ID MAUTIC_CLIENT_SECRET
        GOOGLE_SHEETS_CREDENTIALS_PATH GOOGLE_SHEETS_CREDENTIALS_JSON SLACK_ RESEND_ TWILIO_
          TEMPORAL_"""
    assert [name for name in old.split() if not re.search(rf"\b{name}", example)] == []
    empty = re.findall(
        r"^((?:SOURCES|NOTIFICATIONS|EVENTS|DESTINATION)__\w+)=", example, re.MULTILINE
    )
    assert empty == [], "an empty key is a key: these stay comments until somebody fills them in"


def roles() -> dict[str, list[str]]:
    """The command of each role, wherever it stands."""
    found = {name: service["command"] for name, service in SERVICES.items() if "command" in service}
    found["image"] = json.loads(re.findall(r"^CMD (\[\"dagster.*\])$", DOCKERFILE, re.MULTILINE)[0])
    arguments = HELM["dagster-user-deployments"]["deployments"][0]["dagsterApiGrpcArgs"]
    found["kubernetes"] = [
        "dagster",
        "api",
        "grpc",
        "--host",
        "0.0.0.0",
        "--port",
        "4000",
        *arguments,
    ]
    for line in (DEPLOY / "one-machine.sh").read_text().splitlines():
        if match := re.match(r"\s*((?:dagster|signalroom)\S* .+?)(?: &)?$", line):
            found[f"one machine: {match[1][:30]}"] = re.sub(r'"\$\{.*?\}"', "::", match[1]).split()
    for name, service in SERVICES.items():
        if (test := service.get("healthcheck", {}).get("test", [])) and test[1].startswith(
            "dagster"
        ):
            found[f"{name}: health"] = test[1:]
    return found


@pytest.mark.parametrize("role", roles())
def test_the_command_of_each_role_exists_with_its_options(role: str) -> None:
    program, *arguments = roles()[role]
    command = program_called(program)
    while subcommands := getattr(command, "commands", None):  # of Click's groups and of Typer's
        command = subcommands[arguments.pop(0)]
    command.make_context(program, list(arguments))  # a usage error for what it does not know


def program_called(name: str) -> Any:
    if name == "signalroom":
        from signalroom_dagster.cli import app

        return typer.main.get_command(app)
    if name == "dagster-webserver":
        from dagster_webserver.cli import dagster_webserver

        return dagster_webserver
    if name == "dagster-daemon":
        from dagster._daemon.cli import create_dagster_daemon_cli

        return create_dagster_daemon_cli()
    from dagster._cli import create_dagster_cli

    return create_dagster_cli()


def test_the_code_server_is_one_that_tells_which_runs_it_has() -> None:
    for role in ("code-server", "kubernetes"):
        assert roles()[role][:3] == ["dagster", "api", "grpc"]


def test_fly_has_one_machine_that_never_sleeps_with_its_state_on_a_volume() -> None:
    assert FLY["build"]["build-target"] in re.findall(
        r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE
    )
    assert FLY["mounts"] == [{**FLY["mounts"][0], "destination": "/var/lib/signalroom"}]
    assert "DAGSTER_HOME=/var/lib/signalroom" in DOCKERFILE
    assert (
        FLY["http_service"]["auto_stop_machines"] == "off"
        and FLY["http_service"]["min_machines_running"] == 1
    )
    assert FLY["http_service"]["internal_port"] == 8080, "the gateway, not the UI"


def test_kubernetes_runs_our_image_with_the_settings_of_dagster_yaml() -> None:
    deployment = HELM["dagster-user-deployments"]["deployments"][0]
    assert deployment["image"]["repository"].endswith("/signalroom")
    assert (
        deployment["image"] == HELM["dagsterWebserver"]["image"] == HELM["dagsterDaemon"]["image"]
    )
    assert HELM["runLauncher"]["type"] == "K8sRunLauncher"
    settings = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    del settings["run_launcher"], settings["telemetry"]  # the chart's own
    settings["run_monitoring"]["start_timeout_seconds"] = 600
    assert instance_settings() == settings, (
        "copy what changed in dagster.yaml to deploy/helm-values.yaml"
    )
    assert "run_coordinator" not in HELM["additionalInstanceConfig"], (
        "the chart writes it: it would stand there twice"
    )


def instance_settings() -> dict[str, Any]:
    """What the chart makes of the values that stand in dagster.yaml elsewhere."""
    coordinator = HELM["dagsterDaemon"]["runCoordinator"]
    assert coordinator["enabled"] and coordinator["type"] == "CustomRunCoordinator"
    return {
        **HELM["additionalInstanceConfig"],
        "run_coordinator": coordinator["config"]["customRunCoordinator"],
    }


def test_kubernetes_asks_the_port_that_the_webserver_serves_and_gives_runs_what_they_need() -> None:
    webserver, deployment = (
        HELM["dagsterWebserver"],
        HELM["dagster-user-deployments"]["deployments"][0],
    )
    assert webserver["readinessProbe"]["httpGet"] == {
        "path": "/server_info",
        "port": webserver["service"]["port"],
    }
    assert deployment["includeConfigInLaunchedRuns"]["enabled"]
    assert deployment["resources"] == {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"memory": "2Gi"},
    }
    logs = HELM["computeLogManager"]["config"]["customComputeLogManager"]
    mounted = [mount["mountPath"] for mount in webserver["volumeMounts"]]
    assert any(logs["config"]["base_dir"].startswith(f"{path}/") for path in mounted)
    assert webserver["volumeMounts"] == deployment["volumeMounts"]
    assert hasattr(importlib.import_module(logs["module"]), logs["class"])


@dg.op
def load() -> None:
    pass


@dg.job
def tiny() -> None:
    load()


def test_a_run_works_under_the_settings_that_the_chart_makes_of_them(tmp_path: Path) -> None:
    launcher = {
        "module": "dagster_k8s",
        "class": "K8sRunLauncher",
        "config": {"service_account_name": "signalroom"},
    }
    settings = {**instance_settings(), "run_launcher": launcher}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert tiny.execute_in_process(instance=instance).success
        assert type(instance.run_coordinator).__name__ == "SignalRoomRunCoordinator"


def test_the_entrypoint_gives_dagster_the_settings_of_the_image_and_postgres_where_it_is_named(
    tmp_path: Path, postgres_server: Server, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("what: an older image left\n")
    assert settings_written(tmp_path) == yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    database = postgres_url.rsplit("/", 1)[1]
    where = {"HOST": "127.0.0.1", "PORT": str(postgres_server.port), "DB": database}
    for name, value in {**where, "USERNAME": "postgres", "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"DAGSTER_PG_{name}", value)
    assert PASSWORD not in str(settings_written(tmp_path))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert tiny.execute_in_process(instance=instance).success
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
        kinds = {type(part).__name__ for part in (instance.run_storage, instance.event_log_storage)}
        assert kinds == {"PostgresRunStorage", "PostgresEventLogStorage"}
        assert type(instance.run_launcher).__name__ == "HealthCheckingRunLauncher"
    assert [path.name for path in tmp_path.glob("*dagster.yaml*")] == ["dagster.yaml"]


def settings_written(home: Path) -> dict[str, Any]:
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    # As root it would give root up, which is for containers: here it takes itself for what it then
    # is.
    (home / "id").write_text("#!/bin/sh\necho 10001\n")
    (home / "id").chmod(0o755)
    environment["PATH"] = f"{home}:{environment['PATH']}"
    subprocess.run([DEPLOY / "entrypoint.sh", "true"], env=environment, check=True)
    return yaml.safe_load((home / "dagster.yaml").read_text())


ROLE = """#!{python}
import signal, sys, time
if {{"migrate", "grpc-health-check"}} & set(sys.argv):
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # as Dagster does
open("{folder}/{name}.pid", "w").write(str(__import__("os").getpid()))
try:
    time.sleep(120)
except KeyboardInterrupt:
    sys.exit(0)
"""


@pytest.fixture
def one_machine(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The script of a single machine with roles that only wait, and take signals as Dagster's
    do.
    """
    for name in ("dagster", "dagster-daemon", "dagster-webserver", "signalroom"):
        (tmp_path / name).write_text(ROLE.format(python=sys.executable, folder=tmp_path, name=name))
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(
        [DEPLOY / "one-machine.sh"], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        wait_for(lambda: len([*tmp_path.glob("*.pid")]) == 4, "the roles")
        yield process
        process.kill()


def alive(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("*.pid") if is_alive(int(path.read_text()))]


def test_when_one_role_dies_on_a_single_machine_the_others_are_ended(
    one_machine: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    os.kill(int((tmp_path / "dagster-daemon.pid").read_text()), signal.SIGKILL)
    assert one_machine.wait(30) == 1
    assert alive(tmp_path) == []


def test_a_single_machine_stops_by_itself_when_it_is_told_to(
    one_machine: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    one_machine.send_signal(signal.SIGTERM)
    assert one_machine.wait(30) == 143
    assert alive(tmp_path) == []


def test_a_stop_lets_runs_end(tmp_path: Path) -> None:
    seconds = int(
        re.findall(r"SIGNALROOM_STOP_SECONDS:-(\d+)", (DEPLOY / "one-machine.sh").read_text())[0]
    )
    assert FLY["kill_timeout"] == "5m" and 240 <= seconds < 300
    assert SERVICES["code-server"]["stop_grace_period"] == "15m"
    assert "depends_on" not in SERVICES["proxy"], (
        "an upgrade would stop the way of events until the webserver is up"
    )


def test_what_several_machines_share_may_lie_beside_dagster_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/opt/dagster")
    assert state_dir() == Path("/opt/dagster")
    monkeypatch.setenv("SIGNALROOM_STATE_DIR", "/var/lib/signalroom")
    assert state_dir() == Path("/var/lib/signalroom")


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
def test_the_proxy_asks_for_a_password_but_for_the_gateway_and_logs_no_token(
    tmp_path: Path,
) -> None:
    with (
        answering("webserver") as webserver,
        answering("gateway") as gateway,
        proxy(tmp_path, webserver, gateway) as url,
    ):
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, auth=("admin", "wrong")).status_code == 401
        assert httpx.get(url, auth=("admin", "right")).text == "webserver /"
        assert httpx.post(f"{url}/graphql").status_code == 401
        assert httpx.post(f"{url}/v1/events", json=[]).text == "gateway /v1/events"
        assert (
            httpx.get(f"{url}/v1/triggers/713/everflow").text == "gateway /v1/triggers/713/everflow"
        )
        assert httpx.get(f"{url}/v1/eventsandmore").status_code == 401
        assert httpx.get(f"{url}/V1/../graphql").status_code == 401
        assert (
            "Bearer"
            in httpx.get(f"{url}/v1/events/seen", headers={"Authorization": "Bearer t"}).text
        )
    with proxy(tmp_path, free_port(), free_port(), patience="1s") as url:
        assert httpx.get(f"{url}/v1/triggers/713/everflow?token=hidden").status_code == 502
    log = (tmp_path / "log").read_text()
    assert "/v1/triggers/713/everflow" in log and "hidden" not in log


JSON = {"Content-Type": "application/json"}
SAME = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
def test_no_page_of_another_site_can_use_the_password_that_a_browser_keeps(tmp_path: Path) -> None:
    with (
        answering("webserver") as webserver,
        proxy(tmp_path, webserver, free_port()) as url,
        httpx.Client(base_url=url, auth=("admin", "right")) as browser,
    ):
        assert browser.post("/graphql", json={}, headers={"Origin": url, **SAME}).status_code == 200
        assert browser.post("/graphql", json={}).status_code == 200, (
            "a program sends neither header"
        )
        socket = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": url}
        assert browser.get("/graphql", headers=socket).status_code == 200
        linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert browser.get("/runs/1", headers=linked).status_code == 200, (
            "a link in Slack opens the run"
        )
        for headers in (
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://elsewhere.example"},
            {"Origin": "null"},
            {"Origin": f"{url}.elsewhere.example"},
        ):
            assert browser.post("/graphql", json={}, headers=headers).status_code == 403, headers
            assert browser.get("/graphql", headers={**socket, **headers}).status_code == 403, (
                headers
            )
            assert (
                browser.post(
                    "/report_asset_materialization/a", json={}, headers=headers
                ).status_code
                == 403
            )
        assert browser.get("/graphql?query=mutation", headers=linked).status_code == 403
        assert browser.get("/graphql?query=mutation").status_code == 403
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert browser.post("/graphql", content="query=mutation", headers=form).status_code == 403
        assert (
            browser.post(
                "/graphql", content="{}", headers={"Content-Type": "text/plain"}
            ).status_code
            == 403
        )


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
def test_events_wait_for_a_gateway_that_is_being_replaced(tmp_path: Path) -> None:
    port = free_port()
    with proxy(tmp_path, free_port(), port) as url, ThreadPoolExecutor() as sender:
        sent = sender.submit(httpx.post, f"{url}/v1/events", json=[], timeout=60)
        time.sleep(1)
        assert not sent.done()
        with answering("gateway", port):
            assert sent.result(30).text == "gateway /v1/events"


@contextmanager
def answering(name: str, port: int = 0) -> Iterator[int]:
    """A server that says who it is and what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told = f"{name} {self.path} {self.headers.get('Authorization', '')}".strip().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def proxy(folder: Path, webserver: int, gateway: int, patience: str = "30s") -> Iterator[str]:
    """Caddy with our Caddyfile, the two behind it on loopback."""
    text = (DEPLOY / "Caddyfile").read_text()
    text = text.replace("webserver:3000", f"127.0.0.1:{webserver}").replace(
        "gateway:8080", f"127.0.0.1:{gateway}"
    )
    text = text.replace("lb_try_duration 30s", f"lb_try_duration {patience}")
    text = text.replace("2020", str(health := free_port())).replace(
        "admin off", "admin off\n\tauto_https off"
    )
    told = subprocess.run(["caddy", "version"], stdout=subprocess.PIPE, text=True).stdout
    if [int(part) for part in re.findall(r"\d+", told)[:2]] < [2, 8]:
        text = text.replace("basic_auth", "basicauth")  # its name until 2.8
        text = text.replace("request_buffers 2MiB", "buffer_requests")  # and this one's until 2.7
    (folder / "Caddyfile").write_text(text)
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        "SIGNALROOM_SITE": url,
        "SIGNALROOM_UI_USER": "admin",
        "SIGNALROOM_UI_PASSWORD_HASH": HASH,
    }
    environment = {
        **os.environ,
        **settings,
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    with (folder / "log").open("ab") as log:
        command = ["caddy", "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        transport = httpx.HTTPTransport(retries=8)  # connections only, with growing pauses
        with httpx.Client(transport=transport) as client:
            assert client.get(f"http://127.0.0.1:{health}").status_code == 200
        yield url
    finally:
        process.terminate()
        process.wait(20)
