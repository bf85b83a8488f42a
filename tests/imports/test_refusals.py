"""What a file or a row is refused for, each with its code, and that the others come in all the same."""

import io

import pytest

from apps.campaigns.models import Enrollment
from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.imports.models import ImportRun, RefusedRow
from apps.imports.rules.tables import Columns, read_rows
from apps.partners.models import Partner, Partnership, TaxProfile
from apps.pipeline.services.importing import import_history
from apps.tracking.models import Conversion, Touchpoint
from tests.cast import NOON, join, make_advertiser, make_campaign, make_partner
from tests.imports.conftest import CONVERSIONS, PARTNERS, TOUCHES

AT = "2025-03-01T12:00:00Z"


def refused():
    return list(RefusedRow.objects.values_list("row", "code"))


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (f",v1,{AT},CLICK,content,blog,blog-main", "missing_field"),
        (f"t9,,{AT},CLICK,content,blog,blog-main", "missing_field"),
        ("t9,v1,,CLICK,content,blog,blog-main", "invalid_occurred_at"),
        ("t9,v1,yesterday,CLICK,content,blog,blog-main", "invalid_occurred_at"),
        ("t9,v1,2025-03-01T12:00:00,CLICK,content,blog,blog-main", "invalid_occurred_at"),
        ("t9,v1,1999-12-31T23:59:59Z,CLICK,content,blog,blog-main", "invalid_occurred_at"),
        ("t9,v1,2026-03-10T12:00:01Z,CLICK,content,blog,blog-main", "invalid_occurred_at"),
        (f"t9,v1,{AT},TELEPATHY,content,blog,blog-main", "invalid_kind"),
        (f"t9,v1,{AT},MANUAL,content,blog,blog-main", "invalid_kind"),
        (f"t9,v1,{AT},CLICK,,blog,blog-main", "missing_field"),
        (f"t9,v1,{AT},CLICK,{'c' * 61},blog,blog-main", "too_long"),
        (f"{'t' * 201},v1,{AT},CLICK,content,blog,blog-main", "too_long"),
        (f"t9,v\0,{AT},CLICK,content,blog,blog-main", "control_character"),
        (f't9,v1,{AT},CLICK,"con\ntent",blog,blog-main', "control_character"),
        (f"t9,v1,{AT},CLICK,content,nobody,blog-main", "unknown_partner"),
        (f"t9,v1,{AT},CLICK,content,,blog-main", "unknown_partner"),
        (f"t9,v1,{AT},CLICK,content,blog,elsewhere", "unknown_ad_space"),
        (f"t9,v1,{AT},CLICK,content,blog", "wrong_number_of_cells"),
        (f"t9,v1,{AT},CLICK,content,blog,blog-main,more", "wrong_number_of_cells"),
        ("t1,v1,2025-03-01T12:00:01Z,CLICK,content,blog,blog-main", "touch_conflict"),
        (f"t1,v1,{AT},VIEW,content,blog,blog-main", "touch_conflict"),
        (f"t1,v2,{AT},CLICK,content,blog,blog-main", "touch_conflict"),
    ],
)
def test_a_touch_is_refused_alone(bring, row, code):
    run = bring(touches=[*TOUCHES[:2], row, TOUCHES[2]])[1]
    assert (run.added, run.repeated, run.refused) == (2, 0, 1)
    assert refused() == [(3, code)]
    assert Touchpoint.objects.count() == 2


def test_a_touch_that_is_not_utf8_is_refused_alone(bring):
    good = "\n".join(TOUCHES[:3]).encode()
    bring(touches=good + f"\nt9,v1,{AT},CLICK,".encode() + b"caf\xe9,blog,blog-main\n")
    assert refused() == [(4, "not_utf8")]
    assert RefusedRow.objects.get().content["channel"] == "caf\\udce9"
    assert Touchpoint.objects.count() == 2


def test_the_rest_of_a_file_comes_in_after_a_row_that_is_too_long_to_be_one(bring):
    run = bring(touches=[*TOUCHES[:2], '"' + "x" * 140_000, TOUCHES[2]])[1]
    assert (run.added, run.refused) == (2, 1)
    assert refused() == [(3, "broken_row")]


def test_columns_of_choice_are_checked(bring):
    header = TOUCHES[0] + ",channel_class,goal,country,device"
    start = f"v1,{AT},CLICK,content,blog,blog-main"
    tails = ("FREE,,,", f",{'g' * 41},,", ",,Germany,", ",,de,", f",,,{'d' * 11}", "OWNED,CART,DE,mobile")
    rows = [f"t{n},{start},{tail}" for n, tail in enumerate(tails)]
    bring(touches=[header, *rows])
    assert [code for _, code in refused()] == [
        "invalid_channel_class",
        "too_long",
        "invalid_country",
        "invalid_country",
        "too_long",
    ]
    assert Touchpoint.objects.get().goal == "CART"


def test_a_touch_recorded_with_other_content_is_refused_in_a_later_import(bring):
    bring()
    run = bring(touches=[TOUCHES[0], TOUCHES[1].replace("CLICK", "VIEW"), TOUCHES[2]])[1]
    assert (run.added, run.repeated, run.refused) == (0, 1, 1)
    assert refused() == [(2, "touch_conflict")]
    assert Touchpoint.objects.filter(kind="CLICK").count() == 1


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("blog two,Blog,DE,main,", "invalid_short_name"),
        (",Blog,DE,main,", "missing_field"),
        ("shop,,DE,main,", "missing_field"),
        (f"shop,{'n' * 201},DE,main,", "too_long"),
        ("shop,Shop,Germany,main,", "too_long"),
        ("shop,Shop,de,main,", "invalid_country"),
        ("shop,Shop,DE,,", "missing_field"),
        ("shop,Shop,DE,main page,", "invalid_short_name"),
        ("shop,Shop,DE,main,edi torial", "invalid_short_name"),
    ],
)
def test_a_partner_is_refused_alone(bring, row, code):
    run = bring(partners=[PARTNERS[0], row, PARTNERS[1]])[0]
    assert (run.added, run.refused) == (1, 1)
    assert refused() == [(2, code)]
    assert Partner.objects.get().slug == "blog"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"kind": "FRIEND"}, "invalid_kind"),
        ({"tax_status": "RICH", "legal_name": "Shop"}, "invalid_tax_status"),
        ({"tax_status": "BUSINESS"}, "missing_field"),
        ({"tax_status": "BUSINESS", "legal_name": "Shop", "vat_id": "DE123"}, "invalid_vat_id"),
        ({"legal_name": "Shop", "iban": "DE89370400440532013001"}, "invalid_iban"),
        ({"iban": "DE89370400440532013000"}, "missing_field"),
        ({"self_billing_on": "31.01.2025"}, "invalid_day"),
    ],
)
def test_what_finance_needs_is_checked(bring, folder, values, code):
    names = ["partner", "name", "country", "ad_space", *values]
    bring(partners=[",".join(names), ",".join(["shop", "Shop", "DE", "main", *values.values()])])
    assert (2, code) in refused()
    assert not Partner.objects.exists() and not TaxProfile.objects.exists()


def test_the_short_name_of_another_advertisers_partner_is_taken(bring, campaign):
    other = make_campaign(make_advertiser("umbrella"), "umbrella-shop")
    join(make_partner("blog", country="FR"), other)
    runs = bring(partners=[PARTNERS[0], "blog,Blogger,DE,blog-main,"])
    assert refused() == [(2, "partner_slug_taken"), (2, "unknown_partner"), (3, "unknown_partner")]
    assert [run.added for run in runs] == [0, 1, 2]
    assert not Partnership.objects.for_advertiser(campaign.advertiser).exists()
    assert Enrollment.objects.count() == 1


def test_a_partner_known_by_short_name_and_name_joins(bring, campaign):
    other = make_campaign(make_advertiser("umbrella"), "umbrella-shop")
    join(make_partner("blog"), other)
    assert bring()[0].added == 1
    assert Partnership.objects.for_advertiser(campaign.advertiser).get().partner == Partner.objects.get()


def test_a_partnership_that_is_not_active_stays_as_it_is(bring, campaign):
    partner = make_partner("blog")
    Partnership.objects.create(advertiser=campaign.advertiser, partner=partner, state="BLOCKED")
    bring(touches=TOUCHES[:1])
    assert refused() == [(2, "partnership_not_active")]
    assert Partnership.objects.get().state == "BLOCKED"
    assert not Enrollment.objects.exists()


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (f",v1,{AT},SALE,1.00,EUR", "missing_field"),
        (f"{'o' * 121},v1,{AT},SALE,1.00,EUR", "too_long"),
        (f"B1,v\x01,{AT},SALE,1.00,EUR", "control_character"),
        ("B1,v1,2025-03-01,SALE,1.00,EUR", "invalid_occurred_at"),
        (f"B1,v1,{AT},,1.00,EUR", "missing_field"),
        (f"B1,v1,{AT},sale,1.00,EUR", "invalid_goal"),
        (f'B1,v1,{AT},SALE,"1.083,29",EUR', "invalid_amount"),
        (f"B1,v1,{AT},SALE,-1.00,EUR", "invalid_amount"),
        (f"B1,v1,{AT},SALE,1.001,EUR", "invalid_amount"),
        (f"B1,v1,{AT},SALE,,EUR", "invalid_amount"),
        (f"B1,v1,{AT},SALE,1.00,USD", "currency_not_accepted"),
        (f"B1,v1,{AT},SALE,1.00,eur", "currency_not_accepted"),
        ("A1,v1,2025-04-02T12:00:00Z,SALE,83.30,EUR", "order_ref_conflict"),
        ("A1,v2,2025-04-02T12:00:00Z,SALE,83.29,EUR", "order_ref_conflict"),
        ("A1,v1,2025-04-02T12:00:01Z,SALE,83.29,EUR", "order_ref_conflict"),
    ],
)
def test_a_conversion_is_refused_alone(bring, row, code):
    run = bring(conversions=[*CONVERSIONS[:2], row, CONVERSIONS[2]])[2]
    assert (run.added, run.repeated, run.refused) == (2, 0, 1)
    assert refused() == [(3, code)]
    assert Conversion.objects.get(order_ref="A1").amount_minor == 8329


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("discount", "-1.00", "invalid_amount"),
        ("coupon", "c" * 81, "too_long"),
        ("customer_new", "perhaps", "invalid_flag"),
        ("country", "DEU", "invalid_country"),
        ("device", "d" * 11, "too_long"),
    ],
)
def test_optional_columns_of_a_conversion_are_checked(bring, column, value, code):
    bring(conversions=[f"{CONVERSIONS[0]},{column}", f"{CONVERSIONS[1]},{value}", f"{CONVERSIONS[2]},"])
    assert refused() == [(2, code)]
    assert Conversion.objects.get().order_ref == "A2"


def test_an_order_recorded_with_other_content_is_refused_in_a_later_import(bring):
    bring()
    run = bring(conversions=[CONVERSIONS[0], CONVERSIONS[1].replace("83.29", "83.30"), CONVERSIONS[2]])[2]
    assert (run.added, run.repeated, run.refused) == (0, 1, 1)
    assert refused() == [(2, "order_ref_conflict")]
    assert Conversion.objects.get(order_ref="A1").amount_minor == 8329


def test_an_order_of_another_campaign_is_not_paid_twice(bring, campaign):
    bring()
    other = make_campaign(campaign.advertiser, "acme-outlet")
    assert [run.refused for run in bring(into=other)] == [0, 3, 2]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"touches": [TOUCHES[0].replace("visitor_id", "visitor")]}, "missing_column"),
        ({"conversions": [CONVERSIONS[0] + ",discout"]}, "unknown_column"),
        ({"partners": [PARTNERS[0] + ",name"]}, "repeated_column"),
        ({"partners": b""}, "empty_file"),
        ({"touches": "\n".join(TOUCHES).encode("utf-16")}, "not_text"),
        ({"conversions": b"PK\x03\x04\x14\x00\x06\x00\n"}, "missing_column"),
    ],
)
def test_a_file_that_cannot_be_read_stops_before_anything_is_stored(bring, files, code):
    with pytest.raises(Refusal) as refusal:
        bring(**files)
    assert refusal.value.code == code
    assert not Partner.objects.exists() and not ImportRun.objects.exists()


@pytest.mark.parametrize("name", ["partners", "touches", "conversions"])
def test_a_missing_file_is_named(folder, campaign, name):
    path = folder.write()
    (path / f"{name}.csv").unlink()
    with pytest.raises(Refusal) as refusal:
        import_history(campaign=campaign, folder=path, actor=SYSTEM, now=NOON)
    assert refusal.value.code == "file_missing"
    assert name in refusal.value.message
    assert not ImportRun.objects.exists()


def test_a_row_cut_by_another_sign_than_the_heading_says_so():
    columns = Columns(must=("a", "b", "c"))
    cut, short = read_rows(io.StringIO("a,b,c\n1;2;3\n1,2\n"), columns, "x.csv")
    assert cut.refused.message == "The row has 1 cell, the heading has 3: it is separated by ; and the heading by ,"
    assert short.refused.message == "The row has 2 cells, the heading has 3."
