"""dlt works out again and again what its own types allow: a third of the processor time of a small
load, as a note in its `validate_dict` says itself. Tests load small things hundreds of times.
"""

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from dlt.common import typing, validation
from dlt.common.configuration.specs import base_configuration

HINTS = "get_type_hints"
PURE = {
    typing: (
        "extract_inner_type",
        "extract_type_if_modifier",
        "extract_union_types",
        "is_callable_type",
        "is_dict_generic_type",
        "is_list_generic_type",
        "is_literal_type",
        "is_newtype_type",
        "is_optional_type",
        "is_typeddict",
        "is_union_type",
    ),
    base_configuration: ("extract_inner_hint", "is_secret_hint"),
}
"""What depends on the types that it is given alone."""


def remember_types() -> None:
    """Keep the answers, in every module of dlt that asks."""
    kept: dict[Any, Any] = {}
    for module, names in PURE.items():
        for name in names:
            kept[vars(module)[name]] = _once(vars(module)[name])
    for place in [module for name, module in sys.modules.items() if name.startswith("dlt.")]:
        for name, value in list(vars(place).items()):
            if isinstance(value, FunctionType) and value in kept:
                setattr(place, name, kept[value])
    setattr(validation, HINTS, _once(vars(validation)[HINTS]))


def _once(ask: Callable[..., Any]) -> Callable[..., Any]:
    answers: dict[Any, Any] = {}

    def once(of: Any, *more: Any, globalns: Any = None, **named: Any) -> Any:
        names = {"globalns": globalns} if globalns else {}
        try:
            key = (of, more, *named.items())
            if key not in answers:
                answers[key] = ask(of, *more, **named, **names)
        except TypeError:  # a type that cannot be hashed
            return ask(of, *more, **named, **names)
        return answers[key]

    return once
