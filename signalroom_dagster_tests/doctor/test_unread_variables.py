"""Settings in the environment that nothing reads are named, and those that are read stand in
.env.example.
"""

import re

import pytest

from signalroom_dagster.doctor.unread_variables import known_variables, unread_variables
from signalroom_dagster.sandboxed import MARK
from signalroom_dagster_tests.projects import ROOT, Project

NOT_SET_BY_A_PERSON = {MARK, "SIGNALROOM_SITE"}


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("EVENTS__TENANTS__cti__TOKEN", "in capital letters, as EVENTS__TENANTS__CTI__TOKEN"),
        ("SOURCES__EVERFLOW__CLIENTS__cti__API_KEY", "as SOURCES__EVERFLOW__CLIENTS__CTI__API_KEY"),
        ("EVENTS__TENANTS__CTI__TOKN", "did you mean EVENTS__TENANTS__CTI__TOKEN?"),
        ("NOTIFICATIONS__SLACK__TOKENS", "did you mean NOTIFICATIONS__SLACK__TOKEN?"),
        ("SIGNALROOM_DESTINATON", "did you mean SIGNALROOM_DESTINATION?"),
        ("SUPABASE_DB_PASWORD", "did you mean SUPABASE_DB_PASSWORD?"),
        ("REPORTS__SENT", "did you mean REPORTS__SEND?"),
        ("DESTINATION__POSTGRESQL__CREDENTIALS", "no setting has this name"),
    ],
)
def test_a_misspelled_variable_is_told_with_the_right_name_and_never_its_value(
    variable: str, expected: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_client("cti")
    monkeypatch.setenv(variable, "hidden")
    ((name, problem),) = unread_variables()
    assert name == variable and expected in problem and "hidden" not in problem


def test_a_variable_that_is_read_is_not_told(project: Project) -> None:
    project.add_client("cti")
    project.set(
        EVENTS__TENANTS__CTI__TOKEN="x", NOTIFICATIONS__EMAIL__API_KEY="x", SUPABASE_DB_HOST="x"
    )
    assert list(unread_variables()) == []


def test_the_example_names_every_variable_that_is_read(project: Project) -> None:
    project.add_client("713")
    example = (ROOT / ".env.example").read_text()
    assert [
        name
        for name in sorted(known_variables() - NOT_SET_BY_A_PERSON)
        if not re.search(rf"\b{name}\b", example)
    ] == []
