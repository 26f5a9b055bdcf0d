"""A source that runs alone asks as a client's load does that configures nothing but its account."""

import inspect
from typing import Any

import pytest

from signalroom_dagster.registry.source_folders import import_source, is_windowed, source_names


@pytest.mark.parametrize(
    "name", [name for name in source_names() if is_windowed(import_source(name))]
)
def test_an_argument_is_by_default_what_the_setting_of_that_name_is(name: str) -> None:
    module: Any = import_source(name)
    fields = module.Settings.model_fields
    arguments = inspect.signature(getattr(module, name)).parameters.items()
    shared = [
        (argument.default, fields[each].get_default())
        for each, argument in arguments
        if each in fields
    ]
    set_by_default = [
        (ours, theirs) for ours, theirs in shared if isinstance(theirs, str | int) and theirs
    ]
    assert set_by_default
    assert [ours for ours, _ in set_by_default] == [theirs for _, theirs in set_by_default]
