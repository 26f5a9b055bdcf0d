"""The morning report on both engines: figures added up by hand, and what it says when they are not
all there.
"""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports import report
from signalroom_dagster.reports.dispatch import keep_report
from signalroom_dagster.reports.inputs import wait_for_inputs
from signalroom_dagster.reports.report import make_report
from signalroom_dagster.reports.subscriptions import report_day, yesterday
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import (
    DAY,
    READ_AT,
    create_tables,
    earned,
    insert,
    mapped,
    read,
    spent,
    subscribe,
)

FIRST = DAY - timedelta(days=13)
BEFORE = DAY - timedelta(days=1)
ON_ENGINES: list[Any] = []


@pytest.fixture
def morning(any_warehouse: Project) -> Project:
    return prepare(any_warehouse)


@pytest.fixture
def on_duckdb(project: Project) -> Project:
    return prepare(project)


def prepare(project: Project) -> Project:
    """A day, and the one before it, of an internal and an external affiliate; nothing on the days
    before.
    """
    subscribe(project)
    subscribe(project, "cti")
    create_tables()
    mapped("meta", "G2 - Meta")
    earned(DAY, "G2 - Meta ", 10, "1000", "0")
    earned(DAY, "Northwind", 4, "400.10", "300.01")
    earned(BEFORE, "G2 - Meta", 5, "700.05", "0")
    spent(DAY, "meta", 100, "750.10")
    spent(DAY, "nobody's", 3, "5.75")
    spent(BEFORE, "meta", 80, "350.03")
    spent(DAY, "meta", 1, "999", client="cti")
    for source in ("everflow", "redtrack"):
        read(source, FIRST, DAY)
    return project


def slack(day: date = DAY) -> str:
    return make_report(report_day(get_client("713"), "daily_ccw", day)).rendered.slack


# Revenue 1400.10 = 1000 + 400.10. Cost 1050.11 = 750.10 (RedTrack, internal) + 300.01 (payout,
# external).
# Profit 349.99 = 1400.10 - 1050.11. CPA 75.01 = 1050.11 / 14 = 75.0079. ROAS 1.33 = 1400.10 /
# 1050.11 = 1.3333.
# The day before: revenue 700.05, cost 350.03, profit 350.02, 5 conversions, CPA 70.006, ROAS 2.
#   revenue +100.0% = 700.05 / 700.05; cost +200.0% = 700.08 / 350.03 = 2.00006; profit -0.0% =
# -0.03 / 350.02;
#   conversions +180.0% = 9 / 5; CPA +7.1% = 5.0019 / 70.006 = 0.07145; ROAS -33.3% = (1.3333 -
# 2.0000) / 2.0000.
# The mean of seven days, six of them of zeros: revenue 100.0071, cost 50.0043, profit 50.0029,
# conversions 0.7143.
#   revenue +1,300.0%; cost 1050.11 / 50.0043 = 21.0004, so +2,000.0%; profit 349.99 / 50.0029 =
# 6.9994, so +599.9%;
#   conversions 14 / 0.7143 = 19.5996, so +1,860.0%; CPA and ROAS are those of the sums, as the day
# before.
# External: CPA 75.00 = 300.01 / 4 = 75.0025; profit 100.09 = 400.10 - 300.01. Internal: profit
# 249.90 = 1000 - 750.10.
GOLDEN = """
*713: daily performance* of Mon 2 Mar 2026

*Revenue* $1,400.10 (+100.0% on the day before, +1,300.0% on the 7-day mean)
*Cost* $1,050.11 (+200.0% on the day before, +2,000.0% on the 7-day mean)
*Profit* $349.99 (0.0% on the day before, +599.9% on the 7-day mean)
*Conversions* 14 (+180.0% on the day before, +1,860.0% on the 7-day mean)
*CPA* $75.01 (+7.1% on the day before, +7.1% on the 7-day mean)
*ROAS* 1.33 (-33.3% on the day before, -33.3% on the 7-day mean)

*Internal* 10 conversions, revenue $1,000.00, cost $750.10, CPA $75.01, profit $249.90
*External* 4 conversions, revenue $400.10, cost $300.01, CPA $75.00, profit $100.09
*(unmapped)* $5.75 spent on 3 clicks of sources without an affiliate, in none of the figures above

*Top affiliates*
```
Affiliate  Conv     Cost     CPA   Profit
G2 - Meta    10  $750.10  $75.01  $249.90
Northwind     4  $300.01  $75.00  $100.09
```

_Data: Everflow: whole day, read 3 Mar 06:15 EST · RedTrack: whole day, read 3 Mar 06:15 EST_
""".strip()


@pytest.mark.usefixtures("morning")
def test_the_morning_report_says_what_can_be_added_up_by_hand() -> None:
    rendered = make_report(report_day(get_client("713"), "daily_ccw", DAY)).rendered
    assert rendered.slack == GOLDEN
    assert (
        rendered.text.splitlines()[2]
        == "Revenue $1,400.10 (+100.0% on the day before, +1,300.0% on the 7-day mean)"
    )
    assert (
        rendered.sms
        == "713 2 Mar: 14 conv, rev $1,400, cost $1,050, CPA $75.01, profit $350, $6 unmapped"
    )
    assert rendered.subject == "713: daily performance of Mon 2 Mar 2026"
    assert rendered.html and "1,400.10" in rendered.html and "cid:chart.png" in rendered.html
    assert rendered.chart and rendered.chart.startswith(b"\x89PNG")
    assert make_report(report_day(get_client("713"), "daily_ccw", DAY)).rendered == rendered


@pytest.mark.usefixtures("morning")
def test_the_same_report_has_the_same_words_and_inputs_on_both_engines() -> None:
    made = make_report(report_day(get_client("713"), "daily_ccw", DAY))
    ON_ENGINES.append((made.rendered.hash, made.figures.inputs()))
    assert all(told == ON_ENGINES[0] for told in ON_ENGINES)


@pytest.mark.parametrize(
    ("column", "line"),
    [
        (
            "revenue",
            (
                "Everflow: whole day, read 3 Mar 06:15 EST, without what could not be read of 1"
                " Mar, 2 Mar · RedTrack"
            ),
        ),
        (
            "",
            (
                "Everflow: whole day, read 3 Mar 06:15 EST, without what could not be read of 1"
                " Mar, 2 Mar · RedTrack"
            ),
        ),
        ("impressions", "Everflow: whole day, read 3 Mar 06:15 EST · RedTrack"),
    ],
)
@pytest.mark.usefixtures("morning")
def test_a_report_says_of_which_days_something_could_not_be_read(column: str, line: str) -> None:
    aside = json.dumps(
        [{"column": column, "reason": "not a number", "count": 1, "keys": ["affiliate_id=1"]}]
    )
    with access.exclusive(), access.transaction("test") as query:
        query(
            "UPDATE everflow.windows SET set_aside = %s WHERE day >= %s AND _client_id = '713'",
            aside,
            BEFORE,
        )
        query(
            "UPDATE everflow.windows SET set_aside = %s WHERE day < %s",
            aside,
            DAY - timedelta(days=13),
        )
    assert line in slack()


@pytest.mark.usefixtures("on_duckdb")
def test_a_day_that_a_source_has_not_is_no_day_of_zeros() -> None:
    after = DAY + timedelta(days=1)
    read("everflow", after, after, READ_AT + timedelta(days=1))
    earned(after, "Northwind", 3, "300", "225")
    said = slack(after)
    assert (
        "No complete figures for 3 Mar. RedTrack: nothing of 3 Mar; its last whole day is 2 Mar,"
        " last read" in said
    )
    assert (
        "Everflow alone: 3 conversions, $300.00 revenue. Cost, profit and CPA are not known."
        in said
    )
    assert "*Cost*" not in said and "$0.00" not in said
    sms = make_report(report_day(get_client("713"), "daily_ccw", after)).rendered.sms
    assert sms == "713 3 Mar: no complete figures, RedTrack stale (last whole day 2 Mar)"


@pytest.mark.usefixtures("on_duckdb")
def test_what_is_loaded_while_the_models_are_made_does_not_count_as_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    after, real = DAY + timedelta(days=1), report.run_model
    read("everflow", after, after, READ_AT + timedelta(days=1))

    def run_model(name: Any, client: Any) -> Any:
        done = real(name, client)
        read("redtrack", after, after, READ_AT + timedelta(days=1))
        return done

    monkeypatch.setattr(report, "run_model", run_model)
    assert "No complete figures for 3 Mar. RedTrack: nothing of 3 Mar" in slack(after)


@pytest.mark.usefixtures("on_duckdb")
def test_a_client_without_any_load_is_told_so() -> None:
    said = make_report(report_day(get_client("cti"), "daily_ccw", DAY)).rendered.slack
    assert "No complete figures for 2 Mar. Everflow: never read; RedTrack: never read." in said
    assert "$0" not in said


def test_a_client_that_uses_none_of_a_reports_sources_gets_no_report_of_zeros(
    project: Project,
) -> None:
    project.add_client("713")
    with (project.root / "data" / "clients" / "713" / "client.toml").open("a") as file:
        file.write('[[reports]]\nname = "daily_ccw"\ntemplate = "daily_performance"\n')
    with pytest.raises(
        ConfigurationError, match="made from everflow, redtrack, and the client uses none of them"
    ):
        make_report(report_day(get_client("713"), "daily_ccw", DAY))


@pytest.mark.usefixtures("on_duckdb")
def test_a_day_that_was_read_before_it_was_over_is_not_compared() -> None:
    read("redtrack", DAY, DAY, datetime(2026, 3, 2, 19, tzinfo=UTC))
    said = slack()
    assert (
        "The figures of 2 Mar are not final. RedTrack: read 2 Mar 14:00 EST, before 2 Mar was over."
        in said
    )
    assert "*Revenue* $1,400.10\n" in said


@pytest.mark.usefixtures("on_duckdb")
def test_a_whole_day_without_anything_says_that() -> None:
    said = slack(DAY - timedelta(days=5))
    assert "No affiliate had clicks, conversions or spend on 25 Feb." in said
    assert "No complete" not in said


@pytest.mark.usefixtures("morning")
def test_what_was_restated_since_the_last_report_is_told_once() -> None:
    client, after = get_client("713"), DAY + timedelta(days=1)
    keep_report(make_report(report_day(client, "daily_ccw", DAY)), "run-1")
    assert "Restated" not in slack()
    for source in ("everflow", "redtrack"):
        read(source, after, after, READ_AT + timedelta(days=1))
    spent(BEFORE, "meta-late", 5, "1")  # unmapped: nobody's figures change
    mapped("meta-2", "G2 - Meta")
    spent(DAY, "meta-2", 5, "12.40")
    earned(DAY - timedelta(days=3), "Northwind", 1, "100", "75")
    said = slack(after)
    # cost 1062.51 = 1050.11 + 12.40; 27 Feb had no row when the last report was made
    assert "*Restated since the last report*\n" in said
    assert "• 2 Mar: cost $1,050.11 → $1,062.51\n" in said
    assert "• 27 Feb: revenue none → $100.00, cost none → $75.00, conversions none → 1\n" in said
    assert "1 Mar:" not in said
    keep_report(make_report(report_day(client, "daily_ccw", after)), "run-2")
    later = after + timedelta(days=1)
    assert "Restated" not in slack(later)


@pytest.mark.usefixtures("on_duckdb")
def test_a_day_that_was_incomplete_in_the_last_report_is_named_as_such() -> None:
    client, after = get_client("713"), DAY + timedelta(days=1)
    read("redtrack", DAY, DAY, datetime(2026, 3, 2, 19, tzinfo=UTC))
    keep_report(make_report(report_day(client, "daily_ccw", DAY)), "run-1")
    mapped("meta-2", "G2 - Meta")
    spent(DAY, "meta-2", 5, "12.40")
    for source in ("everflow", "redtrack"):
        read(source, DAY, after, READ_AT + timedelta(days=1))
    assert "• 2 Mar (incomplete in the last report): cost $1,050.11 → $1,062.51" in slack(after)


@pytest.mark.usefixtures("on_duckdb")
def test_a_label_can_neither_mention_nor_mark_up(on_duckdb: Project) -> None:
    earned(DAY, '<!channel> *x* `y` & "co"', 1, "10", "1")
    rendered = make_report(report_day(get_client("713"), "daily_ccw", DAY)).rendered
    assert "&lt;!channel&gt; *x* 'y' " in rendered.slack and "<!channel>" not in rendered.slack
    assert "&lt;!channel&gt; *x* `y` &amp; &#34;co&#34;" in (rendered.html or "")


@pytest.mark.usefixtures("on_duckdb")
def test_a_report_waits_until_its_inputs_are_whole_and_no_longer_than_it_may() -> None:
    after, said = DAY + timedelta(days=1), list[str]()
    due = report_day(get_client("713"), "daily_ccw", after)

    def arrive(seconds: float) -> None:
        source = "everflow" if len(said) == 1 else "redtrack"
        read(source, after, after, READ_AT + timedelta(days=1))

    assert wait_for_inputs(due, 1, 0.01, said.append, arrive) == []
    assert said == [
        "daily_ccw of client 713 waits for Everflow, RedTrack to cover 2026-03-03",
        "daily_ccw of client 713 waits for RedTrack to cover 2026-03-03",
    ]
    later = report_day(get_client("713"), "daily_ccw", after + timedelta(days=1))
    stale = wait_for_inputs(later, 1 / 60, 0.01, said.append)
    assert [item.title for item in stale] == ["Everflow", "RedTrack"]
    assert len(said) > 2
    assert wait_for_inputs(later, 0, 0.01, said.append) == stale


def test_a_day_is_whole_once_it_is_over_in_the_zone_whose_days_the_source_counts(
    on_duckdb: Project,
) -> None:
    over_in_new_york = datetime(2026, 3, 4, 5, 30, tzinfo=UTC)
    for source in ("everflow", "redtrack"):
        read(source, date(2026, 3, 3), date(2026, 3, 3), over_in_new_york)
    on_duckdb.configure("713", "everflow", timezone="America/Los_Angeles")
    due = report_day(get_client("713"), "daily_ccw", date(2026, 3, 3))
    stale = wait_for_inputs(due, 0, 0.01, list[str]().append)
    assert [(item.title, item.state(date(2026, 3, 3))) for item in stale] == [("Everflow", "begun")]


def test_the_reported_day_is_yesterday_where_the_client_is(project: Project) -> None:
    subscribe(project)
    assert yesterday(get_client("713"), datetime(2026, 3, 3, 4, 59, tzinfo=UTC)) == date(2026, 3, 1)
    assert yesterday(get_client("713"), datetime(2026, 3, 3, 5, 1, tzinfo=UTC)) == date(2026, 3, 2)


@pytest.mark.usefixtures("on_duckdb")
def test_the_unmapped_line_stands_whatever_the_filter(on_duckdb: Project) -> None:
    subscribe_other(on_duckdb)
    said = make_report(report_day(get_client("713"), "other", DAY)).rendered.slack
    assert "*(unmapped)* $5.75 spent on 3 clicks" in said
    assert (
        "G2 - Meta" not in said
        and "No affiliate had clicks, conversions or spend on 2 Mar." in said
    )
    insert(
        "redtrack.daily_spend",
        {
            "_client_id": "713",
            "_loaded_at": READ_AT,
            "date": DAY,
            "source_id": "x",
            "source_name": "x",
            "clicks": 1,
            "cost": "1",
        },
    )
    assert (
        "*(unmapped)* $6.75 spent on 4 clicks"
        in make_report(report_day(get_client("713"), "other", DAY)).rendered.slack
    )


@pytest.mark.parametrize(
    "template", ["daily_performance", "weekly_rollup", "affiliate_leaderboard", "alert"]
)
def test_spend_under_a_label_without_an_advertiser_is_unmapped_in_every_report_of_an_advertiser(
    morning: Project, template: str
) -> None:
    subscribe(morning, name="filtered", template=template, params="{ advertiser_id = 1 }")
    mapped("lab", "G2 - Lab", advertiser=None)
    mapped("zero", "G2 - Zero", advertiser=0)
    mapped("nameless", None)
    for number, source in enumerate(("lab", "zero", "nameless")):
        spent(DAY, source, 1, f"{100 + number}.05")
    made = make_report(report_day(get_client("713"), "filtered", DAY))
    # 5.75 of a source that the mapping does not have, and 100.05 + 101.05 + 102.05
    assert "$308.90" in made.rendered.slack
    assert "(unmapped)" in made.rendered.slack
    if template == "daily_performance":
        rows = made.figures.rows
        lines = [side["cost"] for side in rows["sides"] if side["is_internal"]] + [
            rows["unmapped"][0]["cost"]
        ]
        assert sum(lines) == Decimal("1059.00")  # 750.10 + 308.90
        assert ask(
            "SELECT SUM(cost) FROM redtrack.daily_spend WHERE _client_id = '713' AND date = %s", DAY
        ) == [(Decimal("1059.00"),)]


def subscribe_other(project: Project) -> None:
    """A report of an advertiser that has nothing."""
    with (project.root / "data" / "clients" / "713" / "client.toml").open("a") as file:
        file.write(
            '[[reports]]\nname = "other"\ntemplate = "daily_performance"\nparams = { advertiser_id'
            " = 99 }\n"
        )
