"""A history comes in whole, once, and can be taken up where it was cut short."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.campaigns.models import Enrollment, EnrollmentPeriod
from apps.core.ids import moment_of
from apps.imports.models import ImportRun, RefusedRow
from apps.imports.rules.touches import visitor_of
from apps.partners.models import Partner, Partnership, PartnershipState
from apps.pipeline.services import importing
from apps.records.models import AuditEntry
from apps.tracking.models import Conversion, Touchpoint, Unsettled
from apps.tracking.partitions import partition_names
from tests.cast import NOON, START, join, make_advertiser, make_campaign, make_partner
from tests.imports.conftest import CONVERSIONS, PARTNERS, TOUCHES


def counts(runs):
    return [(run.added, run.repeated, run.refused) for run in runs]


def state():
    return (
        list(Partner.objects.order_by("pk").values()),
        list(Partnership.objects.order_by("pk").values()),
        list(EnrollmentPeriod.objects.order_by("pk").values()),
        list(Touchpoint.objects.order_by("pk").values()),
        list(Conversion.objects.order_by("pk").values()),
        list(Unsettled.objects.order_by("pk").values()),
    )


def test_a_history_becomes_partners_touches_and_conversions(bring, campaign):
    runs = bring()

    assert counts(runs) == [(1, 0, 0), (3, 0, 0), (2, 0, 0)]
    assert [(run.rows, run.finished_at) for run in runs] == [(1, NOON), (3, NOON), (2, NOON)]
    enrollment = Enrollment.objects.get(campaign=campaign)
    assert (enrollment.partner.slug, enrollment.ad_space.slug, enrollment.state) == ("blog", "blog-main", "ACTIVE")
    assert enrollment.partner.partnerships.get(advertiser=campaign.advertiser).state == PartnershipState.ACTIVE
    first = Touchpoint.objects.order_by("id").first()
    assert (first.kind, first.channel, first.partner_id, first.campaign_id) == ("VISIT", "seo", None, campaign.pk)
    second = Touchpoint.objects.get(kind="CLICK")
    assert second.occurred_at == moment_of(second.id) == datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert (second.partner_id, second.ad_space_id) == (enrollment.partner_id, enrollment.ad_space_id)
    assert (second.visitor, second.recorded_at) == (visitor_of(campaign.advertiser_id, "v1"), NOON)
    sale = Conversion.objects.get(order_ref="A1")
    assert (sale.amount_minor, sale.currency, sale.visitor, sale.source) == (8329, "EUR", second.visitor, "history")
    assert Unsettled.objects.count() == 2
    assert AuditEntry.objects.get().verb == "history.imported"


def test_an_enrollment_begins_with_the_first_touch(bring, campaign):
    bring()
    period = EnrollmentPeriod.objects.get().active
    assert (period.lower, period.upper) == (datetime(2024, 11, 5, 8, 30, tzinfo=UTC), None)


def test_an_enrollment_begins_with_the_campaign_where_no_touch_is_earlier(bring, campaign):
    bring(touches=TOUCHES[:2])
    assert EnrollmentPeriod.objects.get().active.lower == START


def test_an_enrollment_that_began_later_is_carried_back(bring, campaign):
    join(make_partner("blog"), campaign, since=datetime(2025, 6, 1, tzinfo=UTC))
    bring()
    periods = EnrollmentPeriod.objects.order_by("active")
    assert [(period.active.lower, period.active.upper) for period in periods] == [
        (datetime(2024, 11, 5, 8, 30, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)),
        (datetime(2025, 6, 1, tzinfo=UTC), None),
    ]


def test_touches_lie_in_the_partitions_of_their_months(bring):
    bring()
    assert {f"tracking_touchpoint_{month}" for month in ("2024_11", "2025_03", "2025_04")} <= partition_names()


def test_a_repeat_changes_nothing(bring):
    bring()
    before = state()
    assert counts(bring()) == [(0, 1, 0), (0, 3, 0), (0, 2, 0)]
    assert state() == before


def test_an_import_cut_short_is_finished_by_repeating_it(bring, monkeypatch):
    monkeypatch.setattr(importing, "TOUCHES_AT_ONCE", 1)

    def pull_the_plug(kind, done, total):
        if kind == "TOUCHES" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(watch=pull_the_plug)
    assert (Touchpoint.objects.count(), Conversion.objects.count()) == (2, 0)
    cut = ImportRun.objects.get(kind="TOUCHES")
    assert (cut.added, cut.finished_at) == (2, None)

    assert counts(bring()) == [(0, 1, 0), (1, 2, 0), (2, 0, 0)]
    assert (Touchpoint.objects.count(), Conversion.objects.count()) == (3, 2)


def test_two_advertisers_may_bring_the_same_history(bring):
    bring()
    other = make_campaign(make_advertiser("umbrella"), "umbrella-shop")
    assert counts(bring(into=other)) == [(1, 0, 0), (3, 0, 0), (2, 0, 0)]
    assert Partner.objects.count() == 1
    assert Touchpoint.objects.values("visitor").distinct().count() == 4


def test_columns_may_come_in_any_order_with_marks_blank_lines_and_semicolons(bring):
    touches = b"\xef\xbb\xbfKind;channel;partner;ad_space;occurred_at;visitor_id;touch_id;channel_class;device\r\n\r\n"
    touches += b';;;;;;;;\r\nCLICK;"a;b\\N";blog;blog-main;2025-03-01T12:00:00Z;v1;t1;EARNED;mobile\r\n'
    assert counts(bring(touches=touches))[1] == (1, 0, 0)
    touch = Touchpoint.objects.get()
    assert (touch.channel, touch.channel_class, touch.device) == ("a;b\\N", "EARNED", "mobile")


def test_conversions_carry_their_optional_columns(bring):
    header = CONVERSIONS[0] + ",discount,coupon,customer_new,country,device"
    bring(conversions=[header, 'B1,,2025-04-02T12:00:00Z,SALE,80.00,EUR,20.00,"SAVE10|VIP ",yes,DE,mobile'])
    sale = Conversion.objects.get()
    assert (sale.amount_minor, sale.discount_minor, sale.coupons) == (8000, 2000, ["SAVE10", "VIP"])
    assert (sale.new_customer, sale.country, sale.device, sale.visitor) == (True, "DE", "mobile", None)


def test_a_partner_may_bring_all_that_an_invoice_needs(bring, campaign):
    header = PARTNERS[0] + ",kind,tax_status,legal_name,address,postcode,city,vat_id,iban,self_billing_on"
    row = "blog,Blog,DE,blog-main,,CASHBACK,BUSINESS,Blog GmbH,Hauptstraße 7,80331,München,DE129273398,"
    assert counts(bring(partners=[header, row + "DE89 3704 0044 0532 0130 00,2025-01-31"]))[0] == (1, 0, 0)
    partner = Partner.objects.get()
    assert (partner.kind, partner.tax_profile.legal_name, partner.tax_profile.city) == (
        "CASHBACK",
        "Blog GmbH",
        "München",
    )
    assert (partner.payout_profile.holder, partner.payout_profile.iban) == ("Blog GmbH", "DE89370400440532013000")
    partnership = partner.partnerships.get()
    assert (partnership.self_billing_version, str(partnership.self_billing_on)) == ("1", "2025-01-31")


def test_profiles_are_filled_but_never_changed(bring, campaign):
    join(make_partner("blog"), campaign)
    header = PARTNERS[0] + ",tax_status,legal_name,iban"
    runs = bring(
        partners=[header, "blog,Blog,DE,blog-main,,PRIVATE,Somebody Else,GB82WEST12345698765432"], touches=TOUCHES[:2]
    )
    assert counts(runs)[0] == (0, 1, 0)
    partner = Partner.objects.get()
    assert (partner.tax_profile.legal_name, partner.payout_profile.iban) == ("Blog GmbH", "DE89370400440532013000")


def test_a_partner_may_have_several_ad_spaces(bring):
    assert counts(bring(partners=[*PARTNERS, "blog,Blog,DE,blog-app,editorial"]))[0] == (2, 0, 0)
    assert (Partner.objects.count(), Enrollment.objects.count()) == (1, 2)


def test_refused_rows_are_kept_up_to_a_bound(bring, monkeypatch):
    monkeypatch.setattr("apps.imports.services.runs.MOST_KEPT", 3)
    rows = [f"t{n},v1,yesterday,CLICK,content,blog,blog-main" for n in range(5)]
    run = bring(touches=[TOUCHES[0], *rows])[1]
    assert (run.refused, RefusedRow.objects.count()) == (5, 3)


def test_an_amount_is_exact(bring):
    bring(conversions=[CONVERSIONS[0], "X,v1,2025-04-02T12:00:00Z,SALE,1234567890123.45,EUR"])
    assert Conversion.objects.get().amount_minor == 123456789012345


def test_the_present_moment_is_the_last_that_counts(bring):
    rows = [f"t{n},v1,{(NOON + timedelta(seconds=n)).isoformat()},CLICK,content,blog,blog-main" for n in (0, 1)]
    assert counts(bring(touches=[TOUCHES[0], *rows]))[1] == (1, 0, 1)
