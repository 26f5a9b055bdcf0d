"""What a source says of an account is said of the client, with the variables that its arguments
come from.
"""

import pytest

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.registry.client_words import said_of_client
from signalroom_dagster.sources.http import VendorError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            VendorError("source shop: GET /v1 answered 401: no; check api_key"),
            (
                "client 713, source shop: GET /v1 answered 401: no; check"
                " SOURCES__SHOP__CLIENTS__713__API_KEY"
            ),
        ),
        (
            VendorError(
                "source shop: sheets of api_key; check sheets and api_key; share it with"
                " sheets@example.test"
            ),
            (
                "client 713, source shop: sheets of api_key; check"
                " SOURCES__SHOP__CLIENTS__713__SHEETS and SOURCES__SHOP__CLIENTS__713__API_KEY;"
                " share it with sheets@example.test"
            ),
        ),
        (
            VendorError("source shop: nothing; check my_sheets: sheets"),
            "client 713, source shop: nothing; check my_sheets: sheets",
        ),
        (
            ConfigurationError("source shop: unusable; check api_key"),
            (
                "client 713, source shop: unusable; check SOURCES__SHOP__CLIENTS__713__API_KEY (in"
                " [sources.shop.clients.713])"
            ),
        ),
        (
            VendorError("source shop: none; check sheets in [sources.shop]: sheets are elsewhere"),
            (
                "client 713, source shop: none; check sheets in [sources.shop.clients.713]: sheets"
                " are elsewhere"
            ),
        ),
        (VendorError("daily: of a table; check api_key"), "daily: of a table; check api_key"),
    ],
)
def test_arguments_to_check_are_named_as_variables_and_nothing_else_is(
    error: Exception, said: str
) -> None:
    with pytest.raises(type(error)) as raised, said_of_client("shop", "713", ["api_key", "sheets"]):
        raise error
    assert str(raised.value) == said


def test_a_source_without_arguments_has_no_variable_to_check() -> None:
    with (
        pytest.raises(VendorError, match="^client 713, source shop: broken; check the shop$"),
        said_of_client("shop", "713", []),
    ):
        raise VendorError("source shop: broken; check the shop")


def test_a_vendors_own_words_stay_as_they_are_so_that_an_alert_can_leave_them_out() -> None:
    words = ": no; check api_key of jane@example.test"
    with pytest.raises(VendorError) as raised, said_of_client("shop", "713", ["api_key"]):
        raise VendorError(
            f"source shop: GET /v1 answered 401{words}; check api_key", 401, words=[words]
        )
    variable = "SOURCES__SHOP__CLIENTS__713__API_KEY"
    assert (
        str(raised.value)
        == f"client 713, source shop: GET /v1 answered 401{words}; check {variable}"
    )
    assert (
        raised.value.sentence == f"client 713, source shop: GET /v1 answered 401; check {variable}"
    )
