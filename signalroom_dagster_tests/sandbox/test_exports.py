"""The synthetic exports: the same at every start, shaped like the real ones, with every planned
oddity.
"""

import csv
import gzip
import io
import re
from collections import Counter
from datetime import date
from functools import cache

import pytest

from signalroom_dagster.sandbox.exports import PREFIXES, export_file, exports_of
from signalroom_dagster.sandbox.oddities import NEW_COLUMN
from signalroom_dagster.sandbox.order_columns import header
from signalroom_dagster_tests.sandbox.buckets import bucket

DAY = date(2026, 3, 1)
ROWS = 800

DATE_SHAPES = {
    "order_date": r"\d\d/\d\d/\d{4}",
    "customer_creation_date": r"\d{4}-\d\d-\d\d",
    "acquisition_date": r"\d\d/\d\d/\d{4} \d\d:\d\d [AP]M",
    "order_time": r"\d\d:\d\d [AP]M",
}


@cache
def ordinary() -> list[dict[str, str]]:
    return orders(export_file("713", DAY, ROWS))


def orders(content: bytes, encoding: str = "utf-8") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(encoding), newline=""), strict=True))


def stored(client_id: str, prefix: str, day: int) -> bytes:
    [content] = [
        data
        for key, data in bucket(client_id).items()
        if key.startswith(f"{prefix}/report_2026-03-0{day}T")
    ]
    return content


def test_two_generations_are_byte_identical() -> None:
    assert dict(exports_of("cti")) == bucket("cti")
    assert export_file("713", DAY, ROWS) == export_file("713", DAY, ROWS)


@pytest.mark.parametrize("client_id", ["713", "cti"])
def test_a_bucket_holds_a_week_of_two_prefixes_and_no_prospects(client_id: str) -> None:
    name = re.compile(
        r"(orders-create|orders-update)/report_2026-03-0[1-7]T\d{4}_[0-9a-f]{6}\.csv(\.gz)?"
    )
    assert all(name.fullmatch(key) for key in bucket(client_id))
    assert Counter(key.partition("/")[0] for key in bucket(client_id)) == {
        PREFIXES[0]: 7,
        PREFIXES[1]: 7,
    }


@pytest.mark.parametrize(("client_id", "rows"), [("713", (10_384, 8_997)), ("cti", (2_805, 2_799))])
def test_a_week_has_these_many_records(client_id: str, rows: tuple[int, int]) -> None:
    counted: Counter[str] = Counter()
    for key, content in bucket(client_id).items():
        text = gzip.decompress(content) if key.endswith(".gz") else content
        counted[key.partition("/")[0]] += text.count(b"\r\n") - 1
    assert (counted[PREFIXES[0]], counted[PREFIXES[1]]) == rows


def test_a_file_has_129_columns_and_as_many_rows_as_asked_for() -> None:
    content = export_file("713", DAY, ROWS)
    assert len(header()) == 129
    assert content.startswith(",".join(header()).encode() + b"\r\n")
    assert content.endswith(b"\r\n")
    assert len(ordinary()) == ROWS
    assert {
        len(row) for row in csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    } == {129}


def test_ids_descend_and_no_two_days_or_clients_share_one() -> None:
    ids = [int(order["orders_id"]) for order in ordinary()]
    assert ids == list(range(max(ids), min(ids) - 1, -1))
    others = orders(export_file("713", date(2026, 3, 2), ROWS)) + orders(
        export_file("cti", DAY, ROWS)
    )
    assert not {order["orders_id"] for order in ordinary()} & {
        order["orders_id"] for order in others
    }


def test_a_day_without_ids_enough_is_refused() -> None:
    with pytest.raises(ValueError, match="20000 order ids"):
        export_file("713", DAY, 20_001)


def test_three_in_four_are_declined_and_some_are_tests_and_rebills() -> None:
    assert 0.7 < sum(order["order_status"] == "DECLINED" for order in ordinary()) / ROWS < 0.82
    assert 0.02 < sum(order["is_test_cc"] == "YES" for order in ordinary()) / ROWS < 0.08
    assert 0.3 < sum(order["rebill_depth"] != "0" for order in ordinary()) / ROWS < 0.45


def test_first_orders_have_a_click_and_rebills_have_a_parent() -> None:
    for order in ordinary():
        first = order["rebill_depth"] == "0"
        assert bool(re.fullmatch(r"[0-9a-f]{32}", order["Click ID"])) == first
        assert (order["parent_order_id"] == "0") == first
        assert bool(order["created_by"]) == first


@pytest.mark.parametrize("column", DATE_SHAPES)
def test_dates_come_in_four_shapes(column: str) -> None:
    values = [order[column] for order in ordinary() if order[column]]
    assert values
    assert all(re.fullmatch(DATE_SHAPES[column], value) for value in values)


def test_empty_is_said_in_several_words() -> None:
    held = {value for order in ordinary() for value in order.values()}
    assert {"", "0", "NA", "N/A", "None", "Not Available", "No", "NO", "YES"} <= held


def test_text_needs_quotes_and_more_than_ascii_now_and_then() -> None:
    content = export_file("713", DAY, ROWS).decode()
    assert ", Apt " in content
    assert '"House ""Sunny Side"""' in content
    assert '"Ring twice\nDog is friendly"' in content
    assert 0 < sum(order["billing_lname"] == "Müller" for order in ordinary()) < ROWS / 10


def test_nobody_in_it_can_be_real() -> None:
    for order in ordinary():
        assert order["billing_email"].endswith("@example.com")
        assert re.fullmatch(r"1?\d{3}55501\d\d", order["billing_phone"])
        assert order["ip_address"].startswith("192.0.2.")
        assert order["cc_num_masked"] == "411111******1111"


def test_updates_repeat_earlier_orders_in_a_changed_state() -> None:
    before = {order["orders_id"]: order for order in orders(stored("cti", "orders-create", 3))}
    changed = [
        order for order in orders(stored("cti", "orders-update", 4)) if order["orders_id"] in before
    ]
    assert len(changed) > 100
    assert all(order != before[order["orders_id"]] for order in changed)
    assert {order["order_status"] for order in changed} == {"NEW", "DECLINED", "VOID/REFUNDED"}
    assert {order["refund_flag"] for order in changed} == {"YES", "NO"}


def test_one_file_has_a_130th_column() -> None:
    read = orders(stored("713", "orders-create", 3))
    assert list(read[0]) == [*header(), NEW_COLUMN]
    assert all(order[NEW_COLUMN] for order in read)


def test_one_file_has_three_bad_records() -> None:
    lines = stored("713", "orders-create", 4).split(b"\r\n")
    odd = [
        line for line in lines if b"\0" in line or line.count(b'"') == 1 or line.count(b",") == 59
    ]
    assert [line.count(b"\0") for line in odd] == [0, 1, 0]
    assert [line.count(b'"') for line in odd] == [0, 0, 1]
    assert [line.count(b",") for line in odd] == [59, 128, 128]


def test_one_file_is_only_a_header() -> None:
    assert stored("713", "orders-update", 1) == (",".join(header()) + "\r\n").encode()


def test_one_file_is_cp1252() -> None:
    content = stored("713", "orders-update", 2)
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    assert "Müller" in {order["billing_lname"] for order in orders(content, "cp1252")}


def test_one_file_is_gzip_and_named_so() -> None:
    [key] = [key for key in bucket("713") if key.endswith(".csv.gz")]
    assert key.startswith("orders-create/report_2026-03-06")
    assert len(orders(gzip.decompress(bucket("713")[key]))) > 1_000


def test_one_file_of_cti_lacks_the_key_column() -> None:
    content = stored("cti", "orders-update", 5)
    assert content.startswith(",".join(header()[1:]).encode() + b"\r\n")
    assert all(None not in order for order in orders(content))
