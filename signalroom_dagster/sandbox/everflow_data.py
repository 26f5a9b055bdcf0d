"""What the Everflow stand-in tells of: one client's network, its figures and its raw rows."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from signalroom_dagster.sandbox.market import MARKETS, clicks_of, local_day, sales_of

TABLE_CUT = 10_000
CLICKS_CUT = 10_000
LARGEST_PAGE = 2_000
FIGURES = (
    "imp",
    "total_click",
    "unique_click",
    "invalid_click",
    "duplicate_click",
    "gross_click",
    "cv",
    "invalid_cv_scrub",
    "view_through_cv",
    "total_cv",
    "event",
    "payout",
    "revenue",
    "event_revenue",
    "gross_sales",
    "profit",
    "media_buying_cost",
)


@dataclass
class EverflowNetwork:
    """One client's network. `stats` maps (day, affiliate, advertiser) to figures; labels are by id.

    The switches stand for what the vendor was seen to do. Lists: while `unstable` lasts, a row
    moves between two pages; `arriving` conversions come in one by one while a list is read; a page
    is at most `largest_page` long, and says so only with `echo_page_size`. Reports: `cut` and
    `clicks_cut` are where answers end, and only a table says so, with `tell_cut`; `label_dates`
    puts the date in the label, `date_zone` is where a date's id is midnight, `columns_turned` the
    order of the dimensions; `null_table` stands for an empty one. What is older than the kept days
    is refused (conversions) or missing (clicks). `seconds` is how long a report takes, and
    `most_at_once` how many of them were under way.
    """

    key: str
    stats: dict[tuple[date, int, int], dict[str, Any]] = field(default_factory=dict[Any, Any])
    affiliates: dict[int, str] = field(default_factory=dict[int, str])
    advertisers: dict[int, str] = field(default_factory=dict[int, str])
    conversions: list[dict[str, Any]] = field(default_factory=list[Any])
    clicks: list[dict[str, Any]] = field(default_factory=list[Any])
    offers: dict[int, str] = field(default_factory=dict[int, str])
    offer_advertisers: dict[int, int] = field(default_factory=dict[int, int])
    affiliate_key: str = ""
    unstable: int = 0
    arriving: list[dict[str, Any]] = field(default_factory=list[Any])
    largest_page: int = LARGEST_PAGE
    echo_page_size: bool = True
    label_dates: bool = True
    date_zone: str = "UTC"
    null_table: bool = False
    columns_turned: bool = False
    cut: int = TABLE_CUT
    tell_cut: bool = True
    clicks_cut: int = CLICKS_CUT
    clicks_key: str = "clicks"
    ignore_filters: bool = False
    conversions_kept_days: int | None = None
    clicks_kept_days: int | None = None
    seconds: float = 0.0
    under_way: int = 0
    most_at_once: int = 0


def sandbox_network(client_id: str) -> EverflowNetwork:
    """A client's network, told from the sandbox's market."""
    market = MARKETS[client_id]
    network = EverflowNetwork(
        key=everflow_key(client_id),
        affiliates={affiliate.id: affiliate.label for affiliate in market.affiliates},
        advertisers={market.advertiser_id: market.advertiser_label},
        offers={market.offer_id: market.offer_name},
        offer_advertisers={market.offer_id: market.advertiser_id},
    )
    stats = defaultdict[Any, dict[str, Any]](lambda: dict.fromkeys(FIGURES, 0))
    sold = {sale.click.id for sale in sales_of(client_id)}
    for click in clicks_of(client_id):
        figures = stats[local_day(click.at), click.affiliate.id, market.advertiser_id]
        for name in ("total_click", "unique_click", "gross_click"):
            figures[name] += 1
        network.clicks.append(
            click_row(
                click.id,
                click.at,
                click.affiliate.id,
                click.affiliate.label,
                market.advertiser_id,
                market.advertiser_label,
                sub1=click.tracked_as,
                has_conversion=click.id in sold,
            )
        )
    for sale in sales_of(client_id):
        affiliate = sale.click.affiliate
        figures = stats[local_day(sale.at), affiliate.id, market.advertiser_id]
        for name, amount in {
            "cv": 1,
            "total_cv": 1,
            "payout": float(sale.payout),
            "revenue": float(sale.revenue),
            "gross_sales": float(sale.amount),
        }.items():
            figures[name] += amount
        figures["profit"] = figures["revenue"] - figures["payout"]
        network.conversions.append(
            conversion_row(
                sale.conversion_id,
                sale.at,
                affiliate.id,
                affiliate.label,
                market.advertiser_id,
                market.advertiser_label,
                transaction_id=sale.click.id,
                sub1=sale.click.tracked_as,
                click_unix_timestamp=int(sale.click.at.timestamp()),
                payout=float(sale.payout),
                revenue=float(sale.revenue),
                sale_amount=float(sale.amount),
                order_id=sale.order_id,
            )
        )
    network.stats.update(stats)
    return network


def everflow_key(client_id: str) -> str:
    """The key that the sandbox hands out for one client's network."""
    return f"sandbox-everflow-{client_id}"


def conversion_row(
    number: str,
    at: datetime,
    affiliate: int,
    label: str,
    advertiser: int,
    advertiser_label: str,
    **values: Any,
) -> dict[str, Any]:
    """A conversion as the raw report tells it, with what the vendor sends and nobody should
    store.
    """
    return {
        "conversion_id": number,
        "conversion_unix_timestamp": int(at.timestamp()),
        "click_unix_timestamp": 0,
        "transaction_id": "",
        "status": "approved",
        "is_event": False,
        "event": "Base",
        "is_scrub": False,
        "is_view_through": False,
        **dict.fromkeys(("sub1", "sub2", "sub3", "sub4", "sub5", "source_id"), ""),
        **dict.fromkeys(
            ("adv1", "adv2", "adv3", "adv4", "adv5", "order_id", "coupon_code", "notes"), ""
        ),
        "email": "buyer@example.test",
        "payout_type": "cpa",
        "revenue_type": "rpa",
        "payout": 0,
        "revenue": 0,
        "sale_amount": 0,
        "currency_id": "USD",
        "session_user_ip": "192.0.2.10",
        "conversion_user_ip": "192.0.2.10",
        "country": "United States",
        "region": "Ohio",
        "city": "Testville",
        "platform": "Android",
        "device_type": "Phone",
        "browser": "Chrome",
        "http_user_agent": "Mozilla/5.0 (test)",
        "url": "https://example.test/",
        "error_code": 0,
        "error_message": "",
        **values,
        "relationship": _parties(affiliate, label, advertiser, advertiser_label),
    }


def click_row(
    number: str,
    at: datetime,
    affiliate: int,
    label: str,
    advertiser: int,
    advertiser_label: str,
    **values: Any,
) -> dict[str, Any]:
    """A click as the stream tells it."""
    return {
        "transaction_id": number,
        "unix_timestamp": int(at.timestamp()),
        "is_unique": 1,
        "has_conversion": False,
        "is_view_through": False,
        "is_test_mode": False,
        "tracking_url": "https://trk.example.test/ABC/",
        **dict.fromkeys(
            ("sub1", "sub2", "sub3", "sub4", "sub5", "source_id", "coupon_code", "error_message"),
            "",
        ),
        "payout": 0,
        "revenue": 0,
        "currency_id": "USD",
        "user_ip": "192.0.2.10",
        "creative_id": 0,
        "error_code": 0,
        **values,
        "relationship": {
            **_parties(affiliate, label, advertiser, advertiser_label),
            "geolocation": {"country_code": "US", "region_code": "OH", "postal_code": "00000"},
            "device_information": {
                "platform_name": "Android",
                "device_type": "Phone",
                "browser_name": "Chrome",
                "is_robot": False,
            },
            "http_user_agent": "Mozilla/5.0 (test)",
        },
    }


def _parties(affiliate: int, label: str, advertiser: int, advertiser_label: str) -> dict[str, Any]:
    return {
        "offer": {"network_offer_id": 15, "name": "Home Safety Course"},
        "advertiser": {"network_advertiser_id": advertiser, "name": advertiser_label},
        "affiliate": {"network_affiliate_id": affiliate, "name": label},
        "account_manager": {"network_employee_id": 2, "full_name": "T M"},
    }
