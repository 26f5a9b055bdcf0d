"""Braces in a described API: `{api_key}` is a client's own setting, `{since}` and `{until}` are the
days that are asked for, `{timezone}` and `{currency}` what they are counted in.

A doubled brace is a brace. A text that is one brace alone becomes what it stands for, number or
text.
"""

import difflib
import string
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from signalroom_dagster.described.files import OWN_BASE_URL, Description, Resource
from signalroom_dagster.errors import ConfigurationError

DAYS = ("since", "until")
OURS = ("timezone", "currency")
TAKEN = frozenset({"start_date", "end_date", "lookback_days", "requests_per_minute", "now"})
"""Settings that every such source has already."""
SECRET_WORDS = ("key", "token", "secret", "password", "credential")

_parse = string.Formatter().parse


def filled(value: Any, values: Mapping[str, Any], *, in_address: bool = False) -> Any:
    """The value with its braces filled, however deep they stand; in an address, quoted."""
    if isinstance(value, str):
        return _filled_text(value, values, in_address)
    if isinstance(value, Mapping):
        return {key: filled(each, values) for key, each in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [filled(each, values) for each in cast("list[Any]", value)]
    return value


def as_sent(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as JSON writes them: true and false, not Python's."""
    words = {True: "true", False: "false"}
    return {
        name: words[value] if isinstance(value, bool) else value for name, value in params.items()
    }


def client_names(description: Description) -> Mapping[str, bool]:
    """The names that a client has to give a value, and whether it is a secret. Raises
    ConfigurationError for braces that mean nothing.
    """
    client = description.client
    secret = set(_names({"auth": client.auth, "headers": client.headers}, "client"))
    names = secret | set(_names({"base_url": client.base_url, "probe": client.probe}, "client"))
    for name, resource in description.resources.items():
        asked = _asked_of(resource)
        used = set(_names(asked, f"resources.{name}"))
        _check_days(name, resource, used)
        names |= used - {*DAYS, *OURS}
    if client.base_url != OWN_BASE_URL and "base_url" in names:
        raise ConfigurationError("client.base_url: {base_url} stands alone, or not at all")
    for name in sorted(names):
        _check_name(name)
    names.discard("base_url")
    return {
        name: name in secret or any(word in name for word in SECRET_WORDS) for name in sorted(names)
    }


def _asked_of(resource: Resource) -> dict[str, Any]:
    endpoint, complete = resource.endpoint, resource.complete
    asked: dict[str, Any] = {"endpoint": endpoint.model_dump(include={"path", "params", "headers"})}
    asked["endpoint.json"] = endpoint.body
    if complete and complete.count:
        asked["complete.count"] = complete.count.path
    if complete and complete.sum:
        asked["complete.sum"] = [complete.sum.path, complete.sum.params]
    return asked


def _check_days(name: str, resource: Resource, used: set[str]) -> None:
    if resource.window is None and (days := sorted(used & {*DAYS})):
        raise ConfigurationError(
            f"resources.{name}: {{{days[0]}}} is a day, and there is no"
            f" [resources.{name}.window] that says which"
        )
    days = used & {*DAYS}
    if (window := resource.window) and (not days or (window.longest > 1 and len(days) < 2)):
        needed = "{since}" if window.longest == 1 else "{since} and {until}"
        raise ConfigurationError(
            f"resources.{name}.window: nothing asks for its days: write {needed} into the"
            " endpoint's params, path or json"
        )


def _check_name(name: str) -> None:
    if name in TAKEN:
        raise ConfigurationError(f"{{{name}}} is the name of a setting that every source has")
    near = difflib.get_close_matches(name, (*DAYS, *OURS), n=1, cutoff=0.75)
    if near:
        raise ConfigurationError(f"{{{name}}} is unknown: did you mean {{{near[0]}}}?")


def _names(value: Any, place: str) -> Iterator[str]:
    """Every name in braces. Raises ConfigurationError for what is none, with its place."""
    if isinstance(value, str):
        yield from _names_of(value, place)
    elif isinstance(value, Mapping):
        for key, each in cast("Mapping[str, Any]", value).items():
            yield from _names(each, f"{place}.{key}")
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _names(each, place)


def _names_of(text: str, place: str) -> Iterator[str]:
    try:
        parts = [(name, spec, conversion) for _, name, spec, conversion in _parse(text)]
    except ValueError:
        raise ConfigurationError(
            f"{place}: a brace that is no name is written twice: {{{{"
        ) from None
    for name, spec, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or name != name.lower() or spec or conversion:
            raise ConfigurationError(
                f"{place}: {{{name}}} is unknown: in braces stands the name of a client's setting,"
                " in small letters, or since, until, timezone, currency; a brace itself is written"
                " twice"
            )
        yield name


def _filled_text(text: str, values: Mapping[str, Any], in_address: bool) -> Any:
    parts = list(_parse(text))
    if len(parts) == 1 and parts[0][1] and not parts[0][0]:
        value = values[parts[0][1]]
        return value if not in_address else _quoted(value)
    pieces = [
        literal + ("" if name is None else _piece(values[name], in_address))
        for literal, name, _, _ in parts
    ]
    return "".join(pieces)


def _piece(value: Any, in_address: bool) -> str:
    return _quoted(value) if in_address else str(value)


def _quoted(value: Any) -> str:
    return quote(str(value), safe="")
