"""Keys are sent over https alone: which addresses are taken, and that no setting is left out."""

import pytest

from signalroom_dagster.addresses import checked_address
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.notifications import settings as channels
from signalroom_dagster.registry import catalog
from signalroom_dagster.sections import section_settings, source_settings
from signalroom_dagster_tests.projects import Project

ADDRESSES = {"base_url", "host", "endpoint_url"}
SOURCES = {
    (source, key)
    for source in catalog.source_names()
    for key in catalog.source_module(source).Settings.model_fields
    if key.endswith(("_url", "host", "endpoint")) and key != "bucket_url"
}


@pytest.mark.parametrize(
    "url",
    [
        "https://vendor.test/api",
        "HTTPS://vendor.test:8443",
        "http://127.0.0.1:5000",
        "http://localhost",
        "http://[::1]:1",
    ],
)
def test_https_and_this_machine_are_taken_as_they_are(url: str) -> None:
    assert checked_address(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://vendor.test", "start with https"),
        ("http://127.0.0.1.vendor.test", "start with https"),
        ("http://localhost@vendor.test", "user or a password"),
        ("https://user:hunter22@vendor.test", "user or a password"),
        ("vendor.test", "address"),
        ("ftp://vendor.test", "address"),
        ("https://", "address"),
        ("http://[broken", "address"),
    ],
)
def test_what_would_send_keys_in_the_clear_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        checked_address(url)
    assert "vendor" not in str(refused.value)


def test_a_host_of_the_own_network_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALROOM_PLAIN_HTTP_HOSTS", "minio, Sandbox.internal")
    assert checked_address("http://minio:9000") and checked_address("http://sandbox.internal")
    with pytest.raises(ValueError, match="https"):
        checked_address("http://elsewhere")


@pytest.mark.parametrize(("source", "key"), sorted(SOURCES))
def test_every_sources_address_is_checked(project: Project, source: str, key: str) -> None:
    assert key in ADDRESSES
    project.configure("713", source, **{key: "http://vendor.test"})
    with pytest.raises(
        ConfigurationError,
        match=f"client 713, source {source}: .*{key} is not valid .*start with https",
    ):
        source_settings(catalog.source_module(source).Settings, source, "713")


@pytest.mark.parametrize("model", [channels.Slack, channels.Email, channels.Sms])
def test_every_channels_address_is_checked(project: Project, model: type) -> None:
    name = model.__name__.lower()
    project.set(**{f"NOTIFICATIONS__{name.upper()}__BASE_URL": "http://vendor.test"})
    with pytest.raises(
        ConfigurationError,
        match=rf"\[notifications.{name}\] base_url is not valid .*start with https",
    ):
        section_settings(model, "notifications", name)
