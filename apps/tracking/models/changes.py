"""What happens to a conversion afterwards: refunds and amendments, facts like it."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from apps.identity.models import Advertiser
from apps.tracking.models.conversions import Conversion
from apps.tracking.rules.signatures import UNSIGNED

APPEND_ONLY = pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)

# The mark waits for a worker that is just settling the conversion, and comes again once that is done.
MARK = """
INSERT INTO tracking_unsettled (conversion_id, advertiser_id, attempts, last_error, marked_at)
SELECT c.id, c.advertiser_id, 0, '', NEW.recorded_at FROM tracking_conversion c WHERE {which}
ON CONFLICT (conversion_id)
DO UPDATE SET marked_at = EXCLUDED.marked_at, attempts = 0, last_error = '', parked_at = NULL;
"""

OF_ITS_ORDER = "o.advertiser_id = NEW.advertiser_id AND o.goal = NEW.goal AND o.order_ref = NEW.order_ref"


class RefundKind(models.TextChoices):
    WHOLE = "WHOLE", _("The whole order")
    AMOUNT = "AMOUNT", _("An amount")
    LINES = "LINES", _("Lines")


def vouched_orders() -> models.QuerySet[Conversion]:
    """Return the conversions that somebody vouched for: of an order told a second time, whoever told it first."""
    first = Coalesce("repeat_of__original__source", "source")
    return Conversion.objects.annotate(first_source=first).exclude(first_source=UNSIGNED)


class RefundQuerySet(models.QuerySet["Refund"]):
    def that_count(self) -> RefundQuerySet:
        """Return those that are taken for true: `apps.tracking.facts.TAKEN` says the same to the database."""
        names = ("advertiser", "goal", "order_ref")
        order = vouched_orders().filter(**{name: models.OuterRef(name) for name in names})
        same = {name: models.OuterRef(name) for name in (*names, "refund_ref")}
        twin = Refund.objects.filter(**same, is_signed=True)
        return self.filter(models.Q(is_signed=True) | ~models.Exists(order) & ~models.Exists(twin))


class Refund(models.Model):
    """Money that went back to the customer; named by the shop's `refund_ref`, it may come before its sale.

    `is_signed` tells whether the shop is known to have told it, by a signature, a key or a person of its own. What
    nobody signed does not count where the order was signed, nor beside a signed one of its number.

    `amount_minor` is net and positive. `lines` is a list of `{"position": place from 1, "quantity": returned}`, a
    quantity of null is all of the position. `currency` is empty where the call named none and none was needed.
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="refunds")
    goal = models.CharField(_("goal"), max_length=40, default="SALE")
    order_ref = models.CharField(_("order number"), max_length=120)
    refund_ref = models.CharField(_("refund number"), max_length=120)
    kind = models.CharField(_("kind"), max_length=6, choices=RefundKind)
    amount_minor = models.BigIntegerField(_("amount"), null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="")
    lines = models.JSONField(_("lines"), default=list)
    reason = models.CharField(_("reason"), max_length=20, blank=True, default="returned")
    is_signed = models.BooleanField(_("signed"), default=True, db_default=True)
    occurred_at = models.DateTimeField(_("happened"))
    recorded_at = models.DateTimeField(_("recorded"))
    content_hash = models.CharField(max_length=64)

    objects = RefundQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        constraints = [
            models.UniqueConstraint(
                fields=["advertiser", "goal", "order_ref", "refund_ref", "is_signed"], name="one_refund_per_reference"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="AMOUNT", amount_minor__gt=0)
                | (~models.Q(kind="AMOUNT") & models.Q(amount_minor__isnull=True)),
                name="only_amount_refunds_have_an_amount",
            ),
        ]
        triggers = [
            APPEND_ONLY,
            pgtrigger.Trigger(
                name="put_on_work_list",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func=MARK.format(
                    which=f"""c.id IN (
                    SELECT o.id FROM tracking_conversion o WHERE {OF_ITS_ORDER}
                    UNION ALL
                    SELECT p.conversion_id FROM tracking_conversion o JOIN tracking_repeat p ON p.original_id = o.id
                    WHERE {OF_ITS_ORDER}
                )"""
                )
                + """
                IF NOT FOUND THEN
                    INSERT INTO tracking_awaitedsale (refund_id, advertiser_id) VALUES (NEW.id, NEW.advertiser_id);
                END IF;
                RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.refund_ref


class AwaitedSale(models.Model):
    """A refund whose sale was not there yet; the sweep wakes the sale once it is.

    It is looked for at `look_at` by the database's clock: ever more seldom the longer it waits, so that what waits for
    good costs little.
    """

    refund = models.OneToOneField(Refund, on_delete=models.PROTECT, primary_key=True, related_name="awaited")
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    since = models.DateTimeField(db_default=Now())
    look_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["look_at", "advertiser"], name="sales_to_look_for")]

    def __str__(self) -> str:
        return str(self.refund_id)


class Repeat(models.Model):
    """A second conversion of an order whose first was rejected: refunds and amendments of the order are its own too."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="repeat_of", db_index=False)
    original = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="repeats", db_index=False)
    recorded_at = models.DateTimeField(_("recorded"))

    class Meta:
        verbose_name = _("repeat of an order")
        verbose_name_plural = _("repeats of orders")
        constraints = [
            models.UniqueConstraint(fields=["conversion"], name="a_repeat_has_one_original"),
            models.UniqueConstraint(fields=["original"], name="an_order_is_repeated_once"),
            models.CheckConstraint(condition=~models.Q(conversion=models.F("original")), name="nothing_repeats_itself"),
        ]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.conversion_id} of {self.original_id}"


class AmendmentOrigin(models.TextChoices):
    SHOP = "SHOP", _("The shop told the order anew")
    ORDER = "ORDER", _("The shop told an order that a claim had told")
    HOUSE = "HOUSE", _("A claim was accepted")


class Amendment(models.Model):
    """New content of a conversion; the highest sequence holds, whatever order they arrived in, and in it the last turn.

    The shop numbers its own from 1, each with the turn 0. What this house adds takes the next turn behind the shop's
    last number, so that the shop's next word holds again. `content` has the fields that replace the original's:
    amount_minor, discount_minor, coupons, new_customer, country, and lines as `ConversionLine` has them.
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="amendments")
    sequence = models.PositiveIntegerField(_("sequence"))
    turn = models.PositiveSmallIntegerField(_("turn"), default=0, db_default=0)
    origin = models.CharField(
        _("told by"),
        max_length=5,
        choices=AmendmentOrigin,
        default=AmendmentOrigin.SHOP,
        db_default=AmendmentOrigin.SHOP.value,
    )
    content = models.JSONField(_("content"))
    content_hash = models.CharField(max_length=64)
    recorded_at = models.DateTimeField(_("recorded"))

    class Meta:
        verbose_name = _("amendment")
        verbose_name_plural = _("amendments")
        ordering = ["sequence", "turn"]
        constraints = [
            models.UniqueConstraint(fields=["conversion", "sequence", "turn"], name="one_amendment_per_sequence"),
            models.UniqueConstraint(
                fields=["conversion"], condition=models.Q(origin="ORDER"), name="one_first_word_per_order"
            ),
            models.CheckConstraint(
                condition=models.Q(origin="SHOP", turn=0) | (~models.Q(origin="SHOP") & models.Q(turn__gt=0)),
                name="the_shop_numbers_only_its_own",
            ),
        ]
        triggers = [
            APPEND_ONLY,
            pgtrigger.Trigger(
                name="put_on_work_list",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func=MARK.format(
                    which="c.id IN (NEW.conversion_id, "
                    "(SELECT conversion_id FROM tracking_repeat WHERE original_id = NEW.conversion_id))"
                )
                + "RETURN NEW;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.conversion_id} #{self.sequence}"


class AwaitedClick(models.Model):
    """A click id that a conversion names and that was not there when it was settled; the click wakes it.

    It is looked for at `look_at`, as an awaited sale is, but for no longer than a journey looks back.
    """

    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="awaited_clicks")
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    click_id = models.UUIDField()
    since = models.DateTimeField(db_default=Now())
    look_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["look_at", "advertiser"], name="clicks_to_look_for")]
        constraints = [models.UniqueConstraint(fields=["click_id", "conversion"], name="one_wait_per_click")]

    def __str__(self) -> str:
        return str(self.click_id)


class StatedTouch(models.Model):
    """A touch that belongs to a conversion because people said so: the conversion then sees its visitor's journey."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="stated_touches")
    touch_id = models.UUIDField()
    visitor = models.UUIDField()
    recorded_at = models.DateTimeField(_("recorded"))

    class Meta:
        verbose_name = _("stated touch")
        verbose_name_plural = _("stated touches")
        constraints = [
            models.UniqueConstraint(fields=["conversion", "touch_id"], name="a_touch_is_stated_once_of_a_conversion")
        ]
        triggers = [
            APPEND_ONLY,
            pgtrigger.Trigger(
                name="put_on_work_list",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func=MARK.format(which="c.id = NEW.conversion_id") + "RETURN NEW;",
            ),
        ]

    def __str__(self) -> str:
        return str(self.touch_id)
