"""What customers, products and processor accounts are called in the columns of a Sticky.io
export.
"""

import random
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TypeAlias

from signalroom_dagster.sandbox.people import Person, invent_people
from signalroom_dagster.sandbox.shops import Gateway, Product, Shop

Columns: TypeAlias = dict[str, str]

CUSTOMERS = 600
COUNTRY = "United States of America"

USUAL: Mapping[str, str] = {
    **dict.fromkeys(("shipping_method", "rma_number", "rma_reason"), "NA"),
    **dict.fromkeys(("recurring_date", "retry_date", "hold_date"), "N/A"),
    **dict.fromkeys(
        ("delivery_confirm", "signature_confirm", "cascade_flag", "fraud_flag", "chargeback_flag"),
        "NO",
    ),
    **dict.fromkeys(("rma_flag", "return_flag", "is_recurring", "void_flag", "refund_flag"), "NO"),
    **dict.fromkeys(("blacklisted_flag", "decline_salvage_discount", "is_test_cc"), "NO"),
    **dict.fromkeys(
        ("shipping_weight", "taxable_amount", "tax_pct", "tax_amount", "refund_amount"), "0"
    ),
    **dict.fromkeys(
        ("customers_id", "prospects_id", "transaction_id", "parent_order_id", "ancestor_id"), "0"
    ),
    **dict.fromkeys(
        ("rebill_discount", "rebill_depth", "declared_value", "salvage_discount_pct"), "0"
    ),
    **dict.fromkeys(("fulfillment_number", "Retries Left"), "0"),
    "cc_num_masked": "411111******1111",
    "retrying": "YES",
    "retry_attempt": "Initial",
    "cancelled_flag": "No",
    "products_quantity": "1",
    "recurring_prod_name": "None",
}
"""What a column holds unless an order says otherwise; a column that is not here is empty then."""


@cache
def header() -> tuple[str, ...]:
    """The export's 129 column names as they stand in the file, in order."""
    layouts = files("signalroom_dagster.sources").joinpath("s3_exports", "layouts.toml")
    return tuple(tomllib.loads(layouts.read_text("utf-8"))["orders"]["columns"])


@cache
def customer_orders(client_id: str) -> tuple[Columns, ...]:
    """For each customer of a shop an order of nothing yet: every column, in the export's order."""
    people = invent_people(CUSTOMERS, random.Random(f"{client_id} customers"))
    usual = {**dict.fromkeys(header(), ""), **USUAL}
    return tuple({**usual, **_person_columns(person)} for person in people)


def purchases(shop: Shop) -> list[Columns]:
    """Everything that can be bought, through each campaign and charged by each processor."""
    return [
        {**_product_columns(product, shop), **_gateway_columns(gateway), "campaign_id": campaign}
        for product in shop.products
        for gateway in shop.gateways
        for campaign in shop.campaigns
    ]


def _person_columns(person: Person) -> Columns:
    """A customer, billed and delivered to at the same place."""
    address = {
        "fname": person.first_name,
        "lname": person.last_name,
        "street_address": person.street,
        "suburb": person.second_line,
        "city": person.city,
        "state": person.state,
        "postcode": person.postcode,
        "country": COUNTRY,
        "phone": person.phone,
        "email": person.email,
    }
    both = {
        f"{side}_{name}": value
        for side in ("billing", "delivery")
        for name, value in address.items()
    }
    return {**both, "ip_address": person.ip_address, "cc_expires": person.card_expires}


def _product_columns(product: Product, shop: Shop) -> Columns:
    """A product and what an order of one piece of it amounts to."""
    next_one = next((other for other in shop.products if other.id == product.rebills_as), None)
    return {
        "products_id": product.id,
        "product_name": product.name,
        "product_sku": product.sku,
        "product_category": shop.category,
        "products_description": product.description,
        "product_price": product.price,
        "non_taxable_amount": product.price,
        "shipping_price": product.shipping,
        "total_amount": str(Decimal(product.price) + Decimal(product.shipping)),
        "shippable_flag": "NO" if product.shipping == "0" else "YES",
        "recurring_prod_id": next_one.id if next_one else "",
        "recurring_prod_name": next_one.name if next_one else "None",
        "Offer ID": product.offer_id,
    }


def _gateway_columns(gateway: Gateway) -> Columns:
    """The account that the charge was tried on, and its fees."""
    return {
        "gateway_id": gateway.id,
        "gateway_alias": gateway.alias,
        "processing_percent": gateway.processing_percent,
        "reserve_percent": gateway.reserve_percent,
        "transaction_fee": gateway.transaction_fee,
        "chargeback_fee": gateway.chargeback_fee,
        "descriptor": gateway.descriptor,
        "customer_service_number": gateway.service_number,
        "Processor ID": gateway.processor_id,
    }
