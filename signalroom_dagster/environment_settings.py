"""How settings stand in the environment: under which variables, and what their text becomes.

A variable stands for a setting, or for one key of one that is a table: …__SHEETS is all sheets as
JSON, …__SHEETS__SPEND__RANGE the range of one of them, whatever else is known of it.
"""

import functools
import json
import os
import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, SecretStr

from signalroom_dagster.redaction import keep_secret


def is_table(kind: Any) -> bool:
    """Whether a setting is a table of keys, optional or not."""
    return any(get_origin(part) is dict or _is_model(part) for part in alternatives(kind))


def parsed(kind: Any, text: str) -> Any:
    """A list or table as JSON in the environment, a list also as `a,b`; other text as it is."""
    is_list = any(get_origin(part) is list for part in alternatives(kind))
    if not (is_list or is_table(kind)):
        return text
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return text  # the setting's own check says what is wrong with it
    return text.split(",") if is_list else text


def closed(kind: Any, value: Any) -> Any:
    """A secret as what it is from the moment that it is read: in no log and no repr."""
    is_secret = isinstance(value, str) and SecretStr in (kind, *get_args(kind))
    if is_secret:
        keep_secret(value)
    return SecretStr(value) if is_secret else value


def with_single_keys(kind: Any, value: Any, variable: str) -> Any:
    """A table with its keys that have a variable of their own, such as …__SHEETS__SPEND__RANGE."""
    table = dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else {}
    below = [
        name.removeprefix(f"{variable}__")
        for name in os.environ
        if name.startswith(f"{variable}__")
    ]
    for name in sorted({rest.partition("__")[0] for rest in below} - {""}):
        key = next((key for key in table if key.upper() == name), name.lower())
        part, own = kind_below(kind, key), f"{variable}__{name}"
        text = os.environ.get(own)
        if text is None and not is_table(part):
            continue
        held = table.get(key) if text is None else closed(part, parsed(part, text))
        table[key] = with_single_keys(part, held, own) if is_table(part) else held
    return table or value


def in_environment(variable: str) -> dict[str, Any]:
    """What all variables below one stand for, as tables in tables, in small letters."""
    found: dict[str, Any] = {}
    for name in sorted(os.environ):  # a table as JSON before its single keys
        if name.startswith(f"{variable}__"):
            *above, key = name.removeprefix(f"{variable}__").lower().split("__")
            value: Any = parsed(dict[str, Any], os.environ[name])
            lay_over(
                found,
                functools.reduce(lambda below, part: {part: below}, reversed(above), {key: value}),
            )
    return found


def lay_over(table: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put more keys into a table, also in the tables in it; one that is there keeps its letters."""
    for name, value in more.items():
        key = next((key for key in table if key.lower() == name.lower()), name)
        if isinstance(value, Mapping):
            below = dict(table[key]) if isinstance(table.get(key), Mapping) else {}
            lay_over(below, cast("Mapping[str, Any]", value))
            table[key] = below
        else:
            table[key] = value


def variable_of(model: type[BaseModel], place: Sequence[int | str], section: Sequence[str]) -> str:
    """The variable that is read for a place in the settings, or for the nearest place above."""
    kind: Any = model
    names = list(section)
    for part in place:
        if (
            not (is_table(kind) and isinstance(part, str) and re.fullmatch(r"\w+", part, re.ASCII))
            or "__" in part
        ):
            break
        names.append(part)
        kind = kind_below(kind, part)
    return "__".join(names).upper() + (" (as JSON)" if is_table(kind) else "")


def alternatives(kind: Any) -> Sequence[Any]:
    """The kinds that a value may have, each without its conditions; None is not among them."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) not in (Union, UnionType):
        return (kind,)
    return [each for part in get_args(kind) if part is not NoneType for each in alternatives(part)]


def kind_below(kind: Any, key: int | str) -> Any:
    """The kind of one key of a table, or of one entry of a list."""
    for part in alternatives(kind):
        if get_origin(part) in (dict, Mapping):
            return get_args(part)[1]
        if get_origin(part) in (list, tuple) and isinstance(key, int):
            return get_args(part)[0]
        if _is_model(part) and key in part.model_fields:
            return part.model_fields[key].annotation
    return Any


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
