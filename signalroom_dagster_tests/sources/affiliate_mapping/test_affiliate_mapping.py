"""Reading reference files: what spreadsheets do to them, and every mistake named with its file and
line.
"""

import csv
import logging
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from signalroom_dagster.config import ConfigurationError, project_dir
from signalroom_dagster.reference_data import Row
from signalroom_dagster.sandbox.market import MARKETS
from signalroom_dagster.sources.affiliate_mapping import (
    Settings,
    ignored_files,
    probe,
    read,
    tables_of,
)
from signalroom_dagster_tests.sources.affiliate_mapping.reference_files import (
    GOOGLE,
    HEADER,
    META,
    PRICES,
    PRICES_HEADER,
    UNMAPPED,
    mapping_folder,
    write_lines,
    write_mapping,
    write_prices,
)

FILE = "data/clients/713/mappings/internal-affiliates.csv"


def rows(root: Path, table: str = "affiliate_mapping", **settings: str) -> list[Row]:
    found = {item.schema.name: item for item in read(Settings(**settings), "713", root)}  # type: ignore[arg-type]
    return list(found[table].rows)


def refusal(root: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read(Settings(), "713", root)
    return str(refused.value)


def test_a_file_as_excel_saves_it_is_read_whole_without_the_spaces_around_labels(
    tmp_path: Path,
) -> None:
    write_mapping(tmp_path, META, GOOGLE)
    assert rows(tmp_path)[0] == {
        "redtrack_source": "Test Meta A",
        "redtrack_source_alias": "facebook",
        "redtrack_source_id": "src-1",
        "everflow_affiliate_id": 1,
        "everflow_affiliate_label": "G2 - Meta",
        "everflow_advertiser_id": 1,
        "everflow_advertiser_label": "ACME",
    }
    assert len(rows(tmp_path)) == 2


def test_not_available_is_no_value_in_numbers_and_labels_alike_and_zero_is_one(
    tmp_path: Path,
) -> None:
    write_mapping(tmp_path, UNMAPPED, "Zero,,src-4,0,, 0 ,n/A ")
    unmapped, zero = rows(tmp_path)
    names = (
        "everflow_affiliate_id",
        "everflow_affiliate_label",
        "everflow_advertiser_id",
        "everflow_advertiser_label",
    )
    assert [unmapped[name] for name in names] == [None, None, None, None]
    assert [zero[name] for name in names] == [0, None, 0, None]
    assert zero["redtrack_source_alias"] is None


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_byte_order_marks_and_empty_lines_make_no_difference(
    tmp_path: Path, ending: str, encoding: str
) -> None:
    text = ending.join([HEADER, META, "", ",,,,,,", GOOGLE])
    (mapping_folder(tmp_path) / "internal-affiliates.csv").write_bytes(text.encode(encoding))
    assert [row["redtrack_source_id"] for row in rows(tmp_path)] == ["src-1", "src-2"]


def test_quoted_commas_quotes_and_line_ends_stay_in_their_cell(tmp_path: Path) -> None:
    write_mapping(tmp_path, '"Meta, ""A""\r\nold",facebook,src-1,1,G2,1,ACME')
    assert rows(tmp_path)[0]["redtrack_source"] == 'Meta, "A"\r\nold'


def test_windows_1252_is_read_as_what_it_is_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_mapping(tmp_path)
    path.write_bytes(f"{HEADER}\r\nCaf\xe9 \u2013 Meta,,src-1,1,G2,1,ACME\r\n".encode("cp1252"))
    with caplog.at_level(logging.WARNING):
        assert rows(tmp_path)[0]["redtrack_source"] == "Caf\xe9 \u2013 Meta"
    assert f"{FILE}: line 2 is not UTF-8" in caplog.text


def test_columns_may_stand_in_any_order_and_the_optional_ones_may_be_missing(
    tmp_path: Path,
) -> None:
    header = (
        "everflow.advertiser_id,redtrack.source_id, Redtrack.Source"
        " ,everflow.affiliate_id,everflow.affiliate_label"
    )
    write_mapping(tmp_path, "2,src-9,Test,1,G2 - Meta", header=header)
    row = rows(tmp_path)[0]
    assert (row["redtrack_source_id"], row["everflow_advertiser_id"], row["redtrack_source"]) == (
        "src-9",
        2,
        "Test",
    )
    assert row["redtrack_source_alias"] is row["everflow_advertiser_label"] is None


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (HEADER + ",margin", "line 1: header 8 (margin) is not in the schema"),
        (HEADER + ",", "line 1: header 8 (empty) is not in the schema"),
        (
            HEADER.replace("redtrack.source_id", "source"),
            "line 1: header redtrack.source_id is missing",
        ),
        (
            HEADER.replace("source_alias", "source"),
            "line 1: header redtrack.source stands there twice",
        ),
    ],
)
def test_a_header_that_is_not_the_schemas_is_named(tmp_path: Path, header: str, said: str) -> None:
    write_mapping(tmp_path, header=header)
    assert f"{FILE}: {said}" in refusal(tmp_path)


def test_every_mistake_of_every_file_is_named_at_once_with_its_line_and_nothing_of_other_cells(
    tmp_path: Path,
) -> None:
    write_mapping(
        tmp_path,
        META,
        '"two\r\nlines",,src-1,1,Label B,1,ACME',
        "Secret name,,src-5,twelve,Label C,1.0,ACME",
        "Secret name,,,1,Label D,99999999999,ACME",
        "Secret name,,src-6,1",
    )
    write_prices(tmp_path, "course,12.34567,1,maybe,03/01/2026,", "other,1,1,no,2026-02-30,")
    said = refusal(tmp_path)
    assert said.startswith("client 713, source affiliate_mapping:")
    for problem in (
        "lines 2 and 3: both have redtrack.source_id src-1",
        "line 5: everflow.affiliate_id: 'twelve' is not a whole number",
        "line 5: everflow.advertiser_id: '1.0' is not a whole number",
        "line 6: redtrack.source_id is empty",
        "line 6: everflow.advertiser_id: '99999999999' is not a whole number of 32 bits",
        "line 7: has 4 cells, the header has 7",
    ):
        assert f"{FILE}: {problem}" in said
    for problem in (
        "unit.price: '12.34567'",
        "on sale: 'maybe'",
        "valid from: '03/01/2026'",
        "line 3: valid from",
    ):
        assert problem in said
    assert "Secret" not in said and "Label" not in said


def test_a_long_list_of_mistakes_is_cut(tmp_path: Path) -> None:
    write_mapping(tmp_path, *(f"x,,src-{number},bad,L,1,A" for number in range(80)))
    assert "and 30 more" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "has no header"),
        (b"\xef\xbb\xbf\r\n", "has no header"),
        ((HEADER + "\r\n" + META).encode("utf-16"), "not a CSV file in UTF-8"),
        ((HEADER + '\r\n"open,x,src-1\r\n' + META).encode(), "line 2: not a CSV record"),
        (
            HEADER.encode() + b"\r\n\x81,,src-1,1,L,1,A\r\n",
            "line 2: neither UTF-8 nor Windows-1252",
        ),
    ],
)
def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    (mapping_folder(tmp_path) / "internal-affiliates.csv").write_bytes(body)
    assert said in refusal(tmp_path)


def test_a_missing_file_is_named_and_a_client_may_keep_it_elsewhere(tmp_path: Path) -> None:
    assert f"{FILE}: cannot be read: No such file" in refusal(tmp_path)
    write_lines(tmp_path / "elsewhere.csv", [HEADER, META])
    assert len(rows(tmp_path, csv_path="elsewhere.csv")) == 1


def test_any_csv_with_a_schema_beside_it_is_a_table_with_typed_columns(tmp_path: Path) -> None:
    write_mapping(tmp_path)
    write_prices(tmp_path, "home, 95.5 ,12345678901,Yes,2026-03-01,first", "clay,0,n/a,0,,")
    assert list(tables_of(["713", "cti"], tmp_path)) == ["affiliate_mapping", "price_list"]
    assert rows(tmp_path, "price_list") == [
        {
            "sku": "home",
            "unit_price": Decimal("95.5"),
            "seats": 12345678901,
            "on_sale": True,
            "valid_from": date(2026, 3, 1),
            "order": "first",
        },
        {
            "sku": "clay",
            "unit_price": Decimal(0),
            "seats": None,
            "on_sale": False,
            "valid_from": None,
            "order": None,
        },
    ]


def test_a_csv_without_a_schema_is_told_and_left_alone(tmp_path: Path) -> None:
    write_mapping(tmp_path, META)
    write_prices(tmp_path)
    write_lines(mapping_folder(tmp_path) / "notes.csv", ["anything", "at all"])
    assert ignored_files(Settings(), "713", tmp_path) == ["data/clients/713/mappings/notes.csv"]
    assert len(read(Settings(), "713", tmp_path)) == 2
    assert FILE in ignored_files(Settings(csv_path="elsewhere.csv"), "713", tmp_path)


def test_clients_that_share_a_table_must_agree_on_it(tmp_path: Path) -> None:
    write_prices(tmp_path)
    write_prices(
        tmp_path, client_id="cti", schema=PRICES.replace('"seats" = "bigint"', '"seats" = "text"')
    )
    with pytest.raises(
        ConfigurationError, match=r"cti/mappings/prices.toml and .*713/mappings/prices.toml differ"
    ):
        tables_of(["713", "cti"], tmp_path)
    write_prices(tmp_path, client_id="cti")
    assert list(tables_of(["713", "cti"], tmp_path)) == ["affiliate_mapping", "price_list"]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("table = ", "not valid TOML"),
        (PRICES.replace("price_list", "Price List"), "table: it has to be written as .*price_list"),
        (PRICES.replace("price_list", "affiliate_mapping"), "belongs to the source itself already"),
        (
            PRICES.replace('"sku" = "text"', '"client_id" = "text"'),
            "columns: not usable.*: client_id",
        ),
        (PRICES.replace('"seats"', '"unit price"'), "columns: not usable.*: unit_price"),
        (PRICES.replace('["sku"]', '["nothing"]'), "key and single name columns.*nothing"),
        (PRICES.replace('"decimal"', '"money"'), "columns.unit.price"),
        (PRICES.replace('about = "What each course costs."', ""), "about: is missing"),
    ],
)
def test_a_schema_that_cannot_be_is_refused_by_its_name(
    tmp_path: Path, schema: str, said: str
) -> None:
    write_prices(tmp_path, schema=schema)
    with pytest.raises(ConfigurationError, match=rf"713/mappings/prices.toml: .*{said}"):
        tables_of(["713"], tmp_path)


def test_a_schema_whose_csv_is_missing_is_an_error(tmp_path: Path) -> None:
    write_mapping(tmp_path)
    write_prices(tmp_path).unlink()
    assert "data/clients/713/mappings/prices.csv: cannot be read: No such file" in refusal(tmp_path)


def test_doctor_is_told_how_many_rows_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALROOM_PROJECT_DIR", str(tmp_path))
    write_mapping(tmp_path, META, GOOGLE)
    write_lines(mapping_folder(tmp_path) / "notes.csv", [PRICES_HEADER])
    assert (
        probe(Settings(), "713")
        == f"{FILE}: 2 rows; data/clients/713/mappings/notes.csv: ignored, no schema"
    )


@pytest.mark.parametrize("client_id", ["713", "cti"])
def test_the_committed_mappings_have_a_spreadsheets_quirks_and_fit_the_sandboxs_market(
    client_id: str,
) -> None:
    market = MARKETS[client_id]
    found = {
        row["redtrack_source_id"]: row for row in read(Settings(), client_id, project_dir())[0].rows
    }
    for affiliate in market.affiliates:
        for source in affiliate.sources:
            row = found[source.id]
            assert row["everflow_affiliate_label"] == affiliate.label.strip()
            assert row["everflow_advertiser_id"] == market.advertiser_id
    assert all(
        found[source.id]["everflow_affiliate_label"] is None
        for source in market.unmapped
        if source.id in found
    )
    assert any(source.id not in found for source in market.unmapped)
    external = {affiliate.label.strip() for affiliate in market.affiliates if not affiliate.sources}
    assert external.isdisjoint({row["everflow_affiliate_label"] for row in found.values()})

    body = (project_dir() / FILE.replace("713", client_id)).read_bytes()
    raw = list(csv.DictReader(body.decode("utf-8-sig").splitlines()))
    assert body.startswith(b"\xef\xbb\xbf") and body.count(b"\r\n") == body.count(b"\n")
    assert any(row["everflow.affiliate_label"].endswith(" ") for row in raw)
    assert any(row["everflow.affiliate_id"] == "n/a" for row in raw)
    assert [row["everflow.affiliate_id"] for row in raw].count("1") >= len(raw) / 2
