"""Every column that may hold something of a customer names its eraser, or says why it needs none."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from django.apps import apps
from django.db import models

MAY_BE_PERSONAL = re.compile(
    r"email|phone|name|address|(^|_)ip($|_)|agent|referrer|customer|visitor|payload|content$|iban|holder|device|^sub\d"
    r"|evidence|note|^text$|body|details|^value$|message|error|^answers?$|birth|gender|cookie|token"
)
# Rooms whose people are staff and partners: parties to a contract, kept as the law on books asks.
OF_STAFF_AND_PARTNERS = {"identity", "partners", "invoices", "statements", "payouts", "ledger"}
# Columns that match by name only, or hold what says nothing of anybody once keys and raw data are gone.
NOT_OF_CUSTOMERS = {
    "attribution.AttributionPolicy.name": "a name the advertiser gave",
    "attribution.AttributionPolicyEvent.name": "a name the advertiser gave",
    "campaigns.Campaign.name": "a name the advertiser gave",
    "campaigns.CampaignEvent.name": "a name the advertiser gave",
    "campaigns.TrackingLink.name": "a name the partner gave",
    "campaigns.TrackingLinkEvent.name": "a name the partner gave",
    **{f"campaigns.TrackingLink.sub{n}": "the partner's own marks" for n in (1, 2, 3)},
    **{f"campaigns.TrackingLinkEvent.sub{n}": "the partner's own marks" for n in (1, 2, 3)},
    "claims.Claim.note": "the staff's answer",
    "claims.ClaimMove.note": "the staff's answer",
    "commissions.Commission.rule_name": "a name the advertiser gave",
    "commissions.CommissionPlan.name": "a name the advertiser gave",
    "commissions.CommissionPlanEvent.name": "a name the advertiser gave",
    "commissions.CommissionRule.name": "a name the advertiser gave",
    "commissions.Decision.note": "the staff's reason",
    "commissions.Move.note": "the staff's reason",
    "commissions.Receipt.body": "ids of versions and touches, and fractions",
    "imports.ImportRun.file_name": "a file's name",
    "imports.RefusedRow.content": "customers, e-mails and devices are left out when a row is refused",
    "imports.RefusedRow.message": "a sentence of our own",
    "outbox.Attempt.error": "a sentence of our own",
    "outbox.Attempt.message": "a reference to the message",
    "outbox.Outbox.address": "where partners and advertisers want to be told",
    "outbox.Outbox.last_error": "a sentence of our own",
    "outbox.Outbox.payload": "what partners are told: ids, amounts and states",
    "records.AuditEntry.actor_name": "staff",
    "records.AuditEntry.details": "ids; the services write no customer into the trail",
    "records.Document.content": "invoices",
    "records.Document.name": "a file's name",
    "records.IdempotencyKey.body": "what the API answered: ids, codes and amounts",
    "records.Job.actor_name": "staff",
    "records.Job.content": "a filter over conversions",
    "records.Job.error": "a sentence of our own",
    "records.JobItem.content": "the known columns of a list of decisions; of others nothing is kept",
    "records.JobItem.message": "a sentence of our own",
    "tracking.Amendment.content": "amounts, codes and lines",
    "tracking.Conversion.device": "mobile, tablet or desktop",
    "tracking.Conversion.new_customer": "yes or no",
    "tracking.Conversion.visitor": "a random id; no key leads to it once the customer is erased",
    "tracking.ConversionLine.name": "what was sold",
    "tracking.RejectedEvent.message": "a sentence of our own",
    "tracking.RejectedEvent.payload": "values of known fields only, none that names a customer; gone after 30 days",
    "tracking.StatedTouch.visitor": "a random id; no key leads to it once the customer is erased",
    "tracking.Touchpoint.device": "mobile, tablet or desktop",
    "tracking.Touchpoint.visitor": "a random id; no key leads to it once the customer is erased",
    **{f"tracking.Touchpoint.sub{n}": "the partner's own marks" for n in (1, 2, 3, 4, 5)},
    "tracking.Unsettled.last_error": "a sentence of our own",
}


def suspects() -> dict[str, type[models.Model]]:
    return {
        f"{model._meta.label}.{field.name}": model
        for model in apps.get_models()
        if model.__module__.startswith("apps.") and model._meta.app_label not in OF_STAFF_AND_PARTNERS
        for field in model._meta.concrete_fields
        if MAY_BE_PERSONAL.search(field.name) and not field.name.endswith(("_hash", "_minor"))
    }


def erasers() -> dict[str, str]:
    return {
        f"{model._meta.label}.{column}": eraser
        for model in apps.get_models()
        for column, eraser in getattr(model, "ERASED_BY", {}).items()
    }


def test_every_column_that_may_be_personal_names_its_eraser():
    unnamed = sorted(suspects().keys() - erasers().keys() - NOT_OF_CUSTOMERS.keys())
    assert unnamed == [], "name what erases them in the model's ERASED_BY, or say why not in NOT_OF_CUSTOMERS"


def test_a_new_column_without_an_eraser_is_found():
    class Guestbook(models.Model):
        __module__ = "apps.tracking.models"
        customer_email = models.CharField(max_length=10)

        class Meta:
            app_label = "tracking"

        def __str__(self) -> str:
            return self.customer_email

    try:
        with pytest.raises(AssertionError, match="name what erases them"):
            test_every_column_that_may_be_personal_names_its_eraser()
    finally:
        del apps.all_models["tracking"]["guestbook"]
        apps.clear_cache()


def test_every_eraser_is_a_function_and_its_column_is_there():
    for column, path in erasers().items():
        label, _, name = column.rpartition(".")
        assert apps.get_model(label)._meta.get_field(name)
        module, _, function = path.rpartition(".")
        assert callable(getattr(import_module(module), function)), path


def test_no_reason_outlives_its_column():
    assert sorted(NOT_OF_CUSTOMERS.keys() - suspects().keys()) == []
