"""What pydantic refuses of settings and files, in words for who wrote them: key, kind of the value,
what is accepted.

Its own words and the names of its types reach nobody, and neither does a value.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from signalroom_dagster.environment_settings import alternatives, kind_below

Place: TypeAlias = tuple[int | str, ...]
"""The keys that lead to a value, as they stand in the file."""

_KINDS: Mapping[type, str] = {
    str: "text",
    SecretStr: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    datetime: "a date and time",
    date: "a date",
    list: "a list",
    tuple: "a list",
    dict: "a table of keys",
}
"""What a value is; a kind before those that it is one of, too."""
_NEEDED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "a table of keys",
    "mapping": "a table of keys",
    "model": "a table of keys",
    "date": "a day such as 2026-03-01",
    "datetime": "a date and time such as 2026-03-01T00:00:00Z",
    "none": "left out",
}
"""What has to stand there, by the first word of pydantic's name for the error."""
_LIMITS = {
    "gt": "greater than",
    "ge": "at least",
    "lt": "less than",
    "le": "at most",
    "multiple_of": "a multiple of",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong with one value."""

    place: Place
    words: str
    is_missing: bool = False
    is_unknown_key: bool = False


def refusals(error: ValidationError, model: type[BaseModel]) -> Sequence[Refusal]:
    """What is wrong with each value that `model` refused; of the kinds that one place may have, all
    are named.
    """
    told: dict[Place, list[Any]] = {}
    for item in error.errors(include_url=False):
        told.setdefault(_place(item["loc"], model), []).append(item)
    inner = {place[:length] for place in told for length in range(len(place))} - {()}
    return [_refusal(place, items, model) for place, items in told.items() if place not in inner]


def refused(error: ValidationError, model: type[BaseModel], above: str = "") -> str:
    """All that is wrong, each with its key, in a file where these keys stand below `above`."""
    return "; ".join(
        f"{above}{in_words(each.place)}: {each.words}" for each in refusals(error, model)
    )


def in_words(place: Sequence[int | str]) -> str:
    """A place as a person writes it; of lists the first entry is number 1."""
    keys = "".join(
        f".{part}" if isinstance(part, str) else f", entry {part + 1}," for part in place
    )
    return keys.replace(",.", ", ").strip(".,") or "it"


def kind_of(value: object) -> str:
    """What a value is, without the value."""
    return next(
        (words for kind, words in _KINDS.items() if isinstance(value, kind)), "of another kind"
    )


def _refusal(place: Place, items: Sequence[Any], model: type[BaseModel]) -> Refusal:
    first = items[0]
    if first["type"] == "missing":
        why = "" if first["msg"] == "Field required" else f" ({first['msg']})"
        return Refusal(place, f"is missing{why}", is_missing=True)
    if first["type"] == "extra_forbidden":
        return Refusal(place, f"{_unknown_key(place, model)}", is_unknown_key=True)
    kinds = [needed for item in items if (needed := _needed_kind(item))]
    others = [
        words
        for item in items
        if not _needed_kind(item) and (words := _other_words(item, place, model))
    ]
    if others:
        return Refusal(place, f"{' or '.join(dict.fromkeys(others))}")
    return Refusal(place, f"it is {kind_of(first['input'])}, and has to be {_either(kinds)}")


def _needed_kind(item: Mapping[str, Any]) -> str | None:
    """The kind of value that is accepted, where the value is of another one."""
    first, _, rest = str(item["type"]).partition("_")
    return (
        _NEEDED.get(first)
        if rest.endswith(("type", "parsing", "from_float", "inexact", "number"))
        else None
    )


def _other_words(item: Mapping[str, Any], place: Place, model: type[BaseModel]) -> str:
    kind, limits = item["type"], item.get("ctx", {})
    if kind == "value_error":
        return str(limits["error"])
    if expected := limits.get("expected"):
        return f"it has to be {expected}"
    for name, words in _LIMITS.items():
        if name in limits:
            return f"it has to be {words} {limits[name]}"
    if kind.endswith(("too_short", "too_long")):
        return _length(item, limits)
    if kind == "string_pattern_mismatch" and not str(item["input"]).strip():
        return "it is empty"
    if kind == "string_pattern_mismatch":
        such = ", such as ".join(map(str, [limits["pattern"], *_examples(place, model)]))
        return f"it has to be written as {such}"
    return "it is not what has to stand there"


def _length(item: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    if not item["input"]:
        return "it is empty"
    units = "characters" if isinstance(item["input"], str | SecretStr) else "entries"
    length = next((limits[name] for name in ("min_length", "max_length") if name in limits), 0)
    return f"it has to have at {'least' if 'min_length' in limits else 'most'} {length} {units}"


def _unknown_key(place: Place, model: type[BaseModel]) -> str:
    kind: Any = model
    for part in place[:-1]:
        kind = kind_below(kind, part)
    known = sorted(
        {name for part in alternatives(kind) for name in getattr(part, "model_fields", ())}
    )
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return (
        "there is no such key;"
        f" {f'did you mean {near[0]}?' if near else 'there are: ' + ', '.join(known)}"
    )


def _examples(place: Place, model: type[BaseModel]) -> Sequence[Any]:
    field = model.model_fields.get(str(place[0])) if len(place) == 1 else None
    return (field.examples if field else None) or ()


def _either(kinds: Sequence[str]) -> str:
    *others, last = dict.fromkeys(kinds)
    return f"{', '.join(others)} or {last}" if others else last


def _place(keys: Sequence[int | str], model: type[BaseModel]) -> Place:
    """Where a value stands, without the names that pydantic gives to the kinds it may have."""
    return tuple(_own_keys(list(keys), model))


def _own_keys(keys: list[int | str], kind: Any) -> Iterator[int | str]:
    while keys:
        part = keys.pop(0)
        if len(kinds := alternatives(kind)) > 1:  # pydantic names first which of them it has tried
            kind = next((each for each in kinds if _is_called(each, str(part))), Any)
        elif part != "[key]":
            yield part
            kind = kind_below(kind, part)


def _is_called(kind: Any, name: str) -> bool:
    """Whether a kind is the one that pydantic has a name for."""
    own = str(getattr(get_origin(kind) or kind, "__name__", ""))
    return name == own or name.startswith(f"{own}[")
