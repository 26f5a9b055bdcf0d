"""Templates as folders, subscriptions as data, and the limits of each channel."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.freshness.coverage import Coverage
from signalroom_dagster.notifications import gsm, mrkdwn
from signalroom_dagster.registry.clients import Client, get_client
from signalroom_dagster.reports import formats
from signalroom_dagster.reports.figures import Figures, RestatedDay
from signalroom_dagster.reports.queries import read_queries
from signalroom_dagster.reports.rendering import Rendered, render
from signalroom_dagster.reports.report import make_report, write_files
from signalroom_dagster.reports.subscriptions import (
    ReportDay,
    Subscription,
    refused_reports,
    report_day,
    subscriptions,
)
from signalroom_dagster.reports.templates import Panel, get_template, template_names
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import (
    DAY,
    READ_AT,
    create_tables,
    earned,
    read,
    subscribe,
)

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DAYS = [DAY - timedelta(days=back) for back in reversed(range(14))]
# 60 conversions, 1,919.00 in cost: the agency's own 28 and 1,051.75, the others 32 and 867.25.
BROUGHT = {
    "G2 - Meta": (16, "640.50"),
    "G2 - Google": (12, "411.25"),
    "Northwind Media": (11, "330"),
    "Blue Harbor LLC": (9, "252"),
    "Lakeside Leads": (7, "180.25"),
    "Summit Partners": (5, "105"),
}
CLIENT = Client(
    id="713",
    name="Harbor Outdoor",
    status="active",
    start_date=DAYS[0],
    timezone="America/New_York",
    currency="USD",
    sources=("everflow", "redtrack"),
)


def row(conversions: int, cost: Decimal, **more: Any) -> dict[str, Any]:
    """Figures that fit together."""
    revenue = Decimal(conversions * 100)
    return {
        "conversions": conversions,
        "revenue": revenue,
        "cost": cost,
        "profit": revenue - cost,
        "clicks": 900,
        "cpa": round(cost / conversions, 4),
        "roas": round(revenue / cost, 4),
        **more,
    }


ROWS: Mapping[str, Sequence[dict[str, Any]]] = {
    "days": [
        row(20 + 3 * n + n % 4, Decimal(1400 + 173 * (n % 5)), date=day)
        for n, day in enumerate(DAYS)
    ],
    "overall": [row(60, Decimal(1919))],
    "sides": [
        row(28, Decimal("1051.75"), is_internal=True),
        row(32, Decimal("867.25"), is_internal=False),
    ],
    "affiliates": [
        row(
            conversions,
            Decimal(cost),
            affiliate_label=label,
            place=n + 1,
            place_before=(None, 1, 2, 5, 4, 6)[n],
        )
        for n, (label, (conversions, cost)) in enumerate(BROUGHT.items())
    ],
    "unmapped": [{"cost": Decimal("86.40"), "clicks": 216, "date": DAYS[-4]}],
    "offenders": [
        {"affiliate_label": "Lakeside Leads", "conversions": 0, "cost": Decimal(75), "cpa": None}
    ],
    "loaded": [
        {
            "row_count": 84,
            "affiliate_count": 6,
            "first_day": DAYS[0],
            "last_day": DAY,
            "rows_of_day": 6,
        }
    ],
}


def sample(
    template: str,
    *,
    stale: bool = False,
    begun: bool = False,
    rows: Mapping[str, Any] = ROWS,
    client: Client = CLIENT,
) -> Rendered:
    """A template with the sample rows; `stale`: RedTrack was last read two days ago; `begun`: too
    early.
    """
    whole = frozenset(DAYS[:-2] if stale else DAYS[:-1] if begun else DAYS)
    read_at = datetime(2026, 3, 1, 15, tzinfo=UTC) if stale else READ_AT
    reach = [
        Coverage(source="everflow", title="Everflow", read_at=READ_AT, whole=frozenset(DAYS)),
        Coverage(
            source="redtrack",
            title="RedTrack",
            read_at=read_at,
            whole=whole,
            begun=frozenset(DAYS[-1:] if begun else ()),
        ),
    ]
    restated = [
        RestatedDay(
            DAYS[-3], {"cost": (Decimal(1573), Decimal("1601.25")), "conversions": (52, 53)}
        )
    ]
    queries = {name: rows[name] for name in get_template(template).queries}
    found = Figures(day=DAY, rows=queries, coverage=reach, whole=whole, restated=restated)
    return render(
        ReportDay(client, Subscription(name="sample", template=get_template(template)), DAY), found
    )


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("template", template_names())
def test_every_template_renders_within_the_limits_of_its_channels(
    template: str, stale: bool
) -> None:
    rendered = sample(template, stale=stale)
    assert rendered.slack and len(rendered.slack) <= mrkdwn.LONGEST_TEXT
    assert not re.search(r"\*\*|</?[a-z]+>|\{[{%]|None", rendered.slack)
    assert rendered.text and not re.search(r"(?m)```|&amp;|:warning:|^\*|None", rendered.text)
    assert rendered.sms and gsm.is_gsm(rendered.sms) and gsm.places(rendered.sms) <= 160
    assert rendered.html and "<mj-" not in rendered.html and "None" not in rendered.html
    assert "https://fonts" not in rendered.html and 'style="' in rendered.html
    assert "prefers-color-scheme: dark" in rendered.html
    assert rendered == sample(template, stale=stale)
    if stale:
        assert "RedTrack" in rendered.slack and "RedTrack" in rendered.text
    assert rendered.subject.startswith("Harbor Outdoor: ")


@pytest.mark.parametrize("template", template_names())
def test_every_template_renders_without_any_row(template: str) -> None:
    none: dict[str, Any] = {name: [] for name in ROWS} | {
        "loaded": [dict.fromkeys(ROWS["loaded"][0], 0)]
    }
    rendered = sample(template, rows=none)
    assert rendered.chart is None
    assert "$" not in rendered.slack.split("Restated")[0]


@pytest.mark.parametrize(
    "template", ["daily_performance", "weekly_rollup", "affiliate_leaderboard"]
)
def test_spend_that_is_placed_nowhere_has_a_line_of_its_own_on_every_channel_that_has_room(
    template: str,
) -> None:
    rendered = sample(template)
    for text in (rendered.slack, rendered.text, rendered.html or ""):
        assert re.search(r"\(unmapped\)\S* \$86\.40 spent", text)
    assert template == "affiliate_leaderboard" or ", $86 unmapped" in (rendered.sms or "")


def test_a_week_leaves_unmapped_spend_of_days_that_are_not_whole_out_as_well() -> None:
    late = {**ROWS, "unmapped": [{"cost": Decimal("86.40"), "date": DAY}]}
    assert "unmapped" not in sample("weekly_rollup", rows=late, stale=True).slack


def test_an_alert_says_when_the_day_was_not_over() -> None:
    rendered = sample("alert", begun=True)
    assert "Lakeside Leads: $75.00 without a conversion" in rendered.slack
    for text in (rendered.slack, rendered.html or ""):
        assert "The figures of 2 Mar are not final. RedTrack: read" in text
    assert (rendered.sms or "").endswith("0 conv (not final)")


def test_an_alert_without_anything_to_say_says_nothing() -> None:
    rendered = sample("alert", rows={"offenders": []})
    assert (rendered.slack, rendered.text, rendered.html, rendered.sms) == ("", "", None, None)


def test_many_and_long_labels_keep_slack_and_sms_within_their_limits() -> None:
    label = "Čafé — “Partners” {x} €" * 8
    many = {
        **ROWS,
        "affiliates": [{**ROWS["affiliates"][0], "affiliate_label": label} for _ in range(60)],
    }
    rendered = sample("daily_performance", rows=many)
    assert len(rendered.slack) <= mrkdwn.LONGEST_TEXT and rendered.slack.count("```") % 2 == 0
    assert re.search(r"… shortened: \d+ more lines$", rendered.slack)
    sms = sample("affiliate_leaderboard", rows=many).sms or ""
    assert gsm.is_gsm(sms) and gsm.places(sms) <= 160 and sms.endswith("...")
    assert 'Café - "Partners"' in sms


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        ("0.005", 2, "$0.01"),
        ("-0.001", 2, "$0.00"),
        ("-1234.565", 2, "-$1,234.57"),
        ("999.5", 0, "$1,000"),
    ],
)
def test_money_is_rounded_half_up(value: str, places: int, expected: str) -> None:
    assert formats.money(Decimal(value), "USD", places) == expected


def test_a_chart_rounds_as_the_texts_do() -> None:
    from signalroom_dagster.reports.chart import written

    panel = Panel(column="cpa", label="CPA", kind="line", unit="money")
    assert (
        written(float(Decimal("61.7450")), panel, "USD")
        == formats.money(Decimal("61.7450"), "USD")
        == "$61.75"
    )


def test_what_is_not_known_is_not_zero() -> None:
    assert formats.money(None, "USD") == formats.count(None) == formats.ratio(None) == "n/a"
    assert formats.percent(Decimal(5), Decimal(0)) == formats.percent(None, 1) == "n/a"
    assert formats.money(Decimal(5), "CHF") == "CHF 5.00"


def test_a_folder_in_the_project_is_a_report(any_warehouse: Project) -> None:
    folder = any_warehouse.root / "reports" / "clicks"
    folder.mkdir(parents=True)
    (folder / "query.sql").write_text(
        "SELECT affiliate_label, CAST(SUM(clicks) AS BIGINT) AS clicks FROM everflow.daily_stats\n"
        "WHERE date = CAST(:date AS DATE) AND affiliate_label LIKE :start AND clicks % 7 = 2\n"
        "GROUP BY affiliate_label ORDER BY 1"
    )
    (folder / "slack.j2").write_text(
        "{% for row in rows %}{{ row.affiliate_label }}: {{ row.clicks|count }}\n{% endfor %}"
    )
    subscribe_clicks(any_warehouse, '{ start = "N%\'s" }')
    subscribe(any_warehouse, "cti")
    create_tables()
    for label, client in (("N's", "713"), ("Other", "713"), ("N's", "cti")):
        earned(DAY, label, 1, "1", "1", client=client)
    made = make_report(report_day(get_client("713"), "clicks", DAY))
    assert made.rendered.slack == made.rendered.text == "N's: 100"
    assert get_template("clicks").reads == [("everflow", "daily_stats")]
    assert [item.source for item in made.figures.coverage] == ["everflow"]
    assert "clicks" in template_names() and "daily_performance" in template_names()


def subscribe_clicks(project: Project, params: str) -> None:
    subscribe(project)
    with (project.root / "data" / "clients" / "713" / "client.toml").open("a") as file:
        file.write(f'[[reports]]\nname = "clicks"\ntemplate = "clicks"\nparams = {params}\n')


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            'name = "x"\ntemplate = "daily"',
            "reports.1.template: no report template 'daily' (there are: affiliate_lead",
        ),
        ('name = "x"', "reports.1.template: is missing"),
        ('name = "X y"\ntemplate = "alert"', "reports.1.name: "),
        ('name = "x"\ntemplate = "alert"\nscedule = "0 7 * * *"', "reports.1.scedule: "),
        (
            'name = "x"\ntemplate = "alert"\nschedule = "7 o\'clock"',
            "reports.1.schedule: not a cron line",
        ),
        (
            'name = "x"\ntemplate = "alert"\nemail = ["ops"]',
            "reports.1.email: each has to be an e-mail",
        ),
        ('name = "x"\ntemplate = "alert"\nsms = ["555"]', "reports.1.sms: each has to be a number"),
        (
            'name = "x"\ntemplate = "alert"\nsms = ["+1 555 010 0001"]',
            "reports.1.sms: each has to be a number",
        ),
        (
            'name = "x"\ntemplate = "alert"\nsms = ["+15550100001\\n"]',
            "reports.1.sms: each has to be a number",
        ),
        (
            'name = "x"\ntemplate = "alert"\nemail = ["Ops <ops@example.com>"]',
            "reports.1.email: each has to be an e-m",
        ),
        (
            'name = "x"\ntemplate = "alert"\nemail = ["ops@example.com\\n"]',
            "reports.1.email: each has to be an e-mail",
        ),
        (
            'name = "x"\ntemplate = "alert"\nslack = ""',
            "reports.1.slack: each has to be a channel such as #reporting",
        ),
        (
            'name = "x"\ntemplate = "alert"\nslack = "#Reporting Team"',
            "reports.1.slack: each has to be a channel",
        ),
        (
            'name = "x"\ntemplate = "alert"\nslack = "#a, #b"',
            "reports.1.slack: each has to be a channel such as",
        ),
        (
            'name = "x"\ntemplate = "alert"\nparams = { advertiser = 1 }',
            "reports.1.params.advertiser: alert takes adv",
        ),
        (
            'name = "daily_ccw"\ntemplate = "alert"',
            "reports.1.name: there is another report daily_ccw",
        ),
    ],
)
def test_a_wrong_subscription_is_named_with_its_file_and_key(
    project: Project, report: str, expected: str
) -> None:
    subscribe(project)
    with (project.root / "data" / "clients" / "713" / "client.toml").open("a") as file:
        file.write(f"[[reports]]\n{report}\n")
    [problem] = refused_reports(get_client("713")).values()
    assert problem.startswith(f"data/clients/713/client.toml: {expected}")
    assert [item.name for item in subscriptions(get_client("713"))] == ["daily_ccw"]


def test_a_query_that_cannot_be_run_is_refused_with_its_name() -> None:
    for sql, said in {
        "-- name: a\nSELECT * FROM x.y": "query a: give every column a name",
        "-- name: a\nDELETE FROM x.y": "query a: not a SELECT",
        "-- name: a\nSELECT 1 AS b\n-- name: a\nSELECT 2 AS b": "two queries have the same name",
        "-- name: a\nSELECT a FROM WHERE": (
            "query a, line 2, column 15: Expected table name near 'WHERE'"
        ),
        "-- name: a\nSELECT a\nFROM x.y\nWHERE b = 'c": "query a, line 4, column 11: Missing '",
        "-- name: a\nSELECT 1 AS a; SELECT 2 AS a": "query a: not a SELECT, or more than one",
        "-- name: a\nSELECT a\nFROM y": "query a, line 3: y lacks its schema",
        f"SELECT {'(' * 4_000}1{')' * 4_000} AS a": "query rows: nested too deep",
    }.items():
        with pytest.raises(ValueError, match=re.escape(said)):
            read_queries(sql)


def test_values_are_bound_and_every_table_is_the_clients() -> None:
    query = read_queries(
        "SELECT a.x FROM p.a JOIN p.b ON b.x = a.x WHERE a.d = :date AND a.n LIKE '5%' OR :n = 1"
    )["rows"]
    for engine, pattern in (("postgres", "5%%"), ("duckdb", "5%")):
        text, values = query.statement(engine, "713", {"date": date(2026, 3, 2), "n": "'; DROP"})
        assert values == ["713", "713", date(2026, 3, 2), "'; DROP"]
        assert text.count("_client_id = %s") == 2 and pattern in text and "DROP" not in text


def test_a_report_is_written_as_files(project: Project, tmp_path: Path) -> None:
    subscribe(project)
    create_tables()
    earned(DAY, "Northwind", 4, "400.10", "300.01")
    for source in ("everflow", "redtrack"):
        read(source, DAY - timedelta(days=13), DAY)
    written = write_files(make_report(report_day(get_client("713"), "daily_ccw", DAY)), tmp_path)
    stem = "daily_ccw-2026-03-02"
    assert [path.name for path in written] == [
        f"{stem}.html",
        f"{stem}-chart.png",
        f"{stem}.txt",
        f"{stem}.slack.txt",
        f"{stem}.sms.txt",
    ]
    assert f'src="{stem}-chart.png"' in written[0].read_text()
    assert {path.parent for path in written} == {tmp_path / "713"}


@pytest.mark.ui
@pytest.mark.parametrize(("width", "scheme"), [(375, "light"), (1200, "light"), (375, "dark")])
@pytest.mark.parametrize("template", template_names())
def test_the_email_fits_its_window(template: str, width: int, scheme: str, tmp_path: Path) -> None:
    """Opened in a browser: nothing is wider than the window. Pictures of the three reports are
    documentation.
    """
    page, frame, picture = tmp_path / "page.html", tmp_path / "frame.html", tmp_path / "page.png"
    page.write_text(sample(template).html_with_chart() or "")
    frame.write_text(MEASURE.format(width=width))
    if template == "daily_performance":
        picture = IMAGES / f"report-{width}{'-dark' if scheme == 'dark' else ''}.png"
    elif template in ("weekly_rollup", "affiliate_leaderboard") and (width, scheme) == (
        1200,
        "light",
    ):
        picture = IMAGES / f"{template}.png"
    browser = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--hide-scrollbars",
        f"--window-size={width},1300",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
    ]
    dom = subprocess.run(
        [*browser, "--dump-dom", str(frame)], capture_output=True, text=True, check=True, timeout=60
    )
    measured = re.search(r'data-widths="(\d+) (\d+)"', dom.stdout)
    assert measured and int(measured[1]) <= int(measured[2]) == width
    subprocess.run(
        [*browser, f"--screenshot={picture}", str(page)],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert picture.stat().st_size > 10_000


MEASURE = """<body style="margin:0">
<iframe src="page.html" style="border:0;width:{width}px;height:900px"></iframe>
<script>addEventListener("load", () => {{
const page = document.querySelector("iframe").contentDocument.documentElement;
document.body.dataset.widths = page.scrollWidth + " " + page.clientWidth }})</script>"""
"""A window of its own is never narrower than 500 pixels in a headless browser; a frame is."""
