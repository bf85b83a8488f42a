"""What each guard of the database is there against, as a statement; and the guards taken off but for one."""

from __future__ import annotations

import re

from django.db import connection

OTHER = "(SELECT max(id) FROM partners_partner)"


def copy(table: str, **fields: str) -> str:
    """Return the statement that writes a table's row once more, with other values of some fields."""
    told = ", ".join(f"'{name}', {value}" for name, value in fields.items())
    return (
        f"INSERT INTO {table} SELECT (jsonb_populate_record(r, to_jsonb(r) || jsonb_build_object({told}))).* "
        f"FROM {table} r ORDER BY r.ctid DESC LIMIT 1"
    )


def new_id(table: str) -> str:
    return f"(SELECT max(id) + 1 FROM {table})"


# What each guard is there against, in the scene below; a pair is a statement and what must count the same after it.
TRIGGERS = {
    "claims_claim.pgtrigger_content_stays": "UPDATE claims_claim SET coupon = coupon || 'x'",
    "claims_claim.pgtrigger_words_are_only_erased": "UPDATE claims_claim SET text = text || 'x'",
    "claims_claim.pgtrigger_moves_as_allowed": (
        "UPDATE claims_claim SET state = 'DECLINED', reason = 'not_found', conversion_id = NULL "
        "WHERE state = 'ACCEPTED'"
    ),
    "claims_claim.pgtrigger_never_deleted": "DELETE FROM claims_claim",
    "claims_evidence.pgtrigger_content_stays": "UPDATE claims_evidence SET size = size + 1",
    "claims_evidence.pgtrigger_bytes_are_only_erased": "UPDATE claims_evidence SET content = 'forged'",
    "claims_evidence.pgtrigger_never_deleted": "DELETE FROM claims_evidence",
    "tracking_merge.pgtrigger_stays": "DELETE FROM tracking_merge",
    "attribution_couponrule.pgtrigger_kept_once_started": "DELETE FROM attribution_couponrule",
    "attribution_couponrule.pgtrigger_never_edited": "UPDATE attribution_couponrule SET starts_at = now()",
    "attribution_policyversion.pgtrigger_kept_once_started": "DELETE FROM attribution_policyversion",
    "attribution_policyversion.pgtrigger_never_edited": "UPDATE attribution_policyversion SET number = number + 1",
    "attribution_share.pgtrigger_never_edited": "UPDATE attribution_share SET revenue_minor = revenue_minor + 1",
    "attribution_share.pgtrigger_shares_sum_to_one": copy(
        "attribution_share", id=new_id("attribution_share"), partner_id=OTHER
    ),
    "attribution_share.share_kept_for_its_commissions": "DELETE FROM attribution_share",
    "attribution_share.share_kept_once_decided": "DELETE FROM attribution_share",
    "attribution_share.share_not_added_once_decided": copy(
        "attribution_share", id=new_id("attribution_share"), partner_id=OTHER
    ),
    "commissions_commission.commission_kept_once_decided": "DELETE FROM commissions_commission",
    "commissions_commission.pgtrigger_is_of_its_share": copy(
        "commissions_commission",
        id=new_id("commissions_commission"),
        partner_id=OTHER,
        kind="'SALE'",
        corrects_id="NULL",
        share_id="(SELECT max(id) FROM attribution_share)",
    ),
    "commissions_commission.pgtrigger_never_edited": "UPDATE commissions_commission SET amount_minor = 1",
    "commissions_commission.sale_commission_only_before_decision": copy(
        "commissions_commission",
        id=new_id("commissions_commission"),
        partner_id=OTHER,
        kind="'SALE'",
        corrects_id="NULL",
    ),
    "commissions_commissionrule.pgtrigger_never_edited": "UPDATE commissions_commissionrule SET name = name || 'x'",
    "commissions_decision.pgtrigger_moves_as_allowed": (
        "UPDATE commissions_decision SET state = 'ON_HOLD' WHERE state = 'APPROVED'"
    ),
    "commissions_planversion.pgtrigger_kept_once_started": "DELETE FROM commissions_planversion",
    "commissions_planversion.pgtrigger_never_edited": "UPDATE commissions_planversion SET number = number + 1",
    "commissions_receipt.receipt_kept_once_decided": "DELETE FROM commissions_receipt",
    "commissions_receipt.receipt_not_added_once_decided": (
        "WITH gone AS (DELETE FROM commissions_receipt RETURNING *) INSERT INTO commissions_receipt SELECT * FROM gone"
    ),
    "commissions_receipt.receipt_not_changed_once_decided": (
        "UPDATE commissions_receipt SET total_minor = total_minor + 1"
    ),
    "invoices_invoice.pgtrigger_content_never_changes": (
        "UPDATE invoices_invoice SET net_minor = net_minor + 1, gross_minor = gross_minor + 1"
    ),
    "invoices_invoice.pgtrigger_never_deleted": "DELETE FROM invoices_invoice",
    "invoices_invoice.pgtrigger_pdf_never_changes": "UPDATE invoices_invoice SET document_id = NULL",
    "invoices_settlement.pgtrigger_content_never_changes": "UPDATE invoices_settlement SET settled_at = now()",
    "invoices_settlement.pgtrigger_is_of_one_currency": copy(
        "invoices_settlement",
        id=new_id("invoices_settlement"),
        reversed_at="now()",
        statement_id="(SELECT min(s.id) FROM statements_statement s JOIN invoices_invoice i USING (advertiser_id) "
        "WHERE s.partner_id <> i.partner_id)",
        invoice_id="(SELECT max(id) FROM invoices_invoice)",
    ),
    "invoices_settlement.pgtrigger_never_deleted": "DELETE FROM invoices_settlement",
    "ledger_posting.pgtrigger_is_of_its_accounts": copy(
        "ledger_posting", id=new_id("ledger_posting"), reference="'TWIN'", currency="'USD'"
    ),
    "ledger_unstatedposting.pgtrigger_says_what_its_posting_says": (
        "INSERT INTO ledger_unstatedposting (posting_id, advertiser_id, partner_id, currency, due_on, signed_minor) "
        f"SELECT id, advertiser_id, {OTHER}, currency, due_on, amount_minor FROM ledger_posting "
        "WHERE due_on IS NOT NULL"
    ),
    "statements_statementline.pgtrigger_says_what_its_posting_says": copy(
        "statements_statementline",
        id=new_id("statements_statementline"),
        posting_id="(SELECT max(id) FROM ledger_posting)",
    ),
    "partners_adspace.pgtrigger_slug_stays": "UPDATE partners_adspace SET slug = slug || 'x'",
    "partners_partner.pgtrigger_slug_stays": "UPDATE partners_partner SET slug = slug || 'x'",
    "partners_partnergroup.pgtrigger_slug_stays": "UPDATE partners_partnergroup SET slug = slug || 'x'",
    "records_job.pgtrigger_asked_once": "UPDATE records_job SET key = key || 'x'",
    "records_jobitem.pgtrigger_asked_once": "UPDATE records_jobitem SET number = number + 1",
    "outbox_attempt.pgtrigger_never_changed": "UPDATE outbox_attempt SET outcome = 'FAILED'",
    "outbox_outbox.pgtrigger_content_never_changes": "UPDATE outbox_outbox SET address = 'elsewhere'",
    "tracking_duplicate.pgtrigger_kept_until_lifted": "DELETE FROM tracking_duplicate",
    "tracking_duplicate.pgtrigger_never_edited": "UPDATE tracking_duplicate SET scope = scope",
    "tracking_touchpoint.touchpoint_append_only": "UPDATE tracking_touchpoint SET partner_id = 1",
}
# What writes a row beside a statement's own: on the work list, or of a claim's moves; without the guard none is there.
BESIDE = {
    "claims_claim.pgtrigger_moves_are_written": "UPDATE claims_claim SET state = 'ESCALATED' WHERE state = 'OPEN'",
    "tracking_conversion.pgtrigger_put_on_work_list": copy(
        "tracking_conversion", id="gen_random_uuid()", order_ref="'TWIN'"
    ),
    "tracking_refund.pgtrigger_put_on_work_list": copy(
        "tracking_refund", id=new_id("tracking_refund"), refund_ref="'TWIN'"
    ),
    "tracking_amendment.pgtrigger_put_on_work_list": copy(
        "tracking_amendment", id=new_id("tracking_amendment"), sequence="99", turn="0", origin="'SHOP'"
    ),
    "tracking_statedtouch.pgtrigger_put_on_work_list": copy(
        "tracking_statedtouch", id=new_id("tracking_statedtouch"), touch_id="gen_random_uuid()"
    ),
}
CHECKS = {
    "campaigns_campaign.campaign_ends_after_start": (
        "UPDATE campaigns_campaign SET ends_at = starts_at - interval '1 s'"
    ),
    "campaigns_campaign.ended_campaign_has_an_end": "UPDATE campaigns_campaign SET state = 'ENDED'",
    "campaigns_coupon.coupon_ends_after_start": "UPDATE campaigns_coupon SET valid_to = valid_from",
    "partners_partnership.self_billing_is_dated": "UPDATE partners_partnership SET self_billing_on = NULL",
    "records_jobitem.refused_item_says_why": "UPDATE records_jobitem SET code = ''",
    "claims_claim.accepted_claims_have_a_conversion": (
        "UPDATE claims_claim SET conversion_id = NULL WHERE state = 'ACCEPTED'"
    ),
    "claims_claim.claim_is_not_negative": "UPDATE claims_claim SET amount_minor = -1",
    "claims_claim.only_declined_claims_have_a_reason": "UPDATE claims_claim SET reason = 'not_found'",
    "claims_evidence.evidence_is_kept_or_erased": "UPDATE claims_evidence SET content = NULL",
    "claims_claimterms.claims_are_answered_within_a_year": "UPDATE claims_claimterms SET answer_days = 400",
    "attribution_couponrule.only_sharing_has_a_percentage": "UPDATE attribution_couponrule SET percent = 500",
    "attribution_share.share_is_a_part": "UPDATE attribution_share SET numerator = denominator + 1",
    "commissions_commission.not_payable_has_a_reason": "UPDATE commissions_commission SET payable = false",
    "commissions_commission.only_corrections_correct": "UPDATE commissions_commission SET corrects_id = id",
    "commissions_decision.decided_has_a_moment": "UPDATE commissions_decision SET decided_at = NULL",
    "commissions_decision.rejected_has_a_reason": "UPDATE commissions_decision SET state = 'REJECTED', reason = ''",
    "commissions_planassignment.assigned_to_one_thing": (
        "UPDATE commissions_planassignment SET partner_id = 1, group_id = 1"
    ),
    "invoices_invoice.invoice_adds_up": "UPDATE invoices_invoice SET gross_minor = gross_minor + 1",
    "invoices_invoice.invoice_is_positive": "UPDATE invoices_invoice SET net_minor = 0, gross_minor = vat_minor",
    "ledger_account.partner_accounts_name_their_partner": (
        "UPDATE ledger_account SET kind = 'VAT_INPUT' WHERE partner_id IS NOT NULL"
    ),
    "ledger_posting.commission_postings_are_due": "UPDATE ledger_posting SET due_on = NULL",
    "ledger_posting.posting_has_two_accounts": "UPDATE ledger_posting SET credit_id = debit_id",
    "ledger_posting.posting_is_positive": "UPDATE ledger_posting SET amount_minor = -amount_minor",
    "outbox_outbox.sent_is_not_parked": "UPDATE outbox_outbox SET sent_at = now(), parked_at = now()",
    "statements_statement.statement_adds_up": "UPDATE statements_statement SET earned_minor = earned_minor + 1",
    "statements_statement.statement_pays_or_carries": (
        "UPDATE statements_statement SET carried_minor = 1, earned_minor = earned_minor + 1"
    ),
    "commissions_partnerreview.review_has_a_reason": "UPDATE commissions_partnerreview SET reason = ''",
    "tracking_amendment.the_shop_numbers_only_its_own": "UPDATE tracking_amendment SET turn = turn + 1",
    "tracking_repeat.nothing_repeats_itself": "UPDATE tracking_repeat SET original_id = conversion_id",
    "tracking_duplicate.nothing_is_its_own_duplicate": "UPDATE tracking_duplicate SET original_id = conversion_id",
    "tracking_identitykey.shared_keys_join_nobody": (
        "UPDATE tracking_identitykey SET shared_at = now() WHERE person_id IS NOT NULL"
    ),
    "tracking_identitylink.links_are_in_order": "UPDATE tracking_identitylink SET low_id = high_id, high_id = low_id",
    "tracking_merge.a_person_merges_with_another": "UPDATE tracking_merge SET absorbed_id = survivor_id",
    "tracking_merge.who_undid_has_a_date": "UPDATE tracking_merge SET undone_by = 'somebody'",
    "tracking_conversion.conversion_is_not_negative": "UPDATE tracking_conversion SET amount_minor = -1",
    "tracking_refund.only_amount_refunds_have_an_amount": "UPDATE tracking_refund SET amount_minor = -1",
}


def harm_of(kind: str, name: str) -> str:
    """Return the statement that a guard is there against, empty where none is known."""
    table, _, guard = name.partition(".")
    if kind == "trigger":
        protects = guard in {"pgtrigger_append_only"}
        return TRIGGERS.get(
            name, f"UPDATE {table} SET {first_column(table)} = {first_column(table)}" if protects else ""
        )
    if name in CHECKS:
        return CHECKS[name]
    if column := re.fullmatch(rf"{table}_(\w+)_check", guard):
        return f"UPDATE {table} SET {column[1]} = -1"
    if guard == "one_commission_per_partner":
        return copy(table, id=new_id(table), kind="'SALE'", corrects_id="NULL")
    return copy_of_row(table)


def columns(table: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s "
            "ORDER BY ordinal_position",
            [table],
        )
        return dict(cursor.fetchall())


def first_column(table: str) -> str:
    return next(iter(columns(table)))


def copy_of_row(table: str) -> str:
    """Return the statement that writes a row twice, under another id: what a unique key is there against."""
    kind = columns(table).get("id", "")
    ids = {"uuid": "gen_random_uuid()", "character varying": f"(SELECT max(id) || 'x' FROM {table})"}
    return copy(table, id=ids.get(kind, new_id(table))) if kind else ""


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def trigger_of(table: str, guard: str) -> str:
    """Return a trigger's whole name: pgtrigger ends it with a hash, which the golden list leaves out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgname ~ %s",
            [table, f"^{guard}(_[0-9a-f]{{5}})?$"],
        )
        (name,) = cursor.fetchone()
    return name


def other_guards_off(kind: str, name: str) -> None:
    """Take every trigger off, and of the guard's own table every constraint but the guard."""
    table, _, guard = name.partition(".")
    run("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND c.relkind IN ('r', 'p')"
        )
        triggered = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('c', 'u', 'x', 'f') "
            "AND conname <> %s",
            [table, guard],
        )
        constraints = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %s::regclass "
            "AND i.indisunique AND NOT i.indisprimary AND c.relname <> %s "
            "AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)",
            [table, guard],
        )
        indexes = [row[0] for row in cursor.fetchall()]
    run(*(f"ALTER TABLE {one} DISABLE TRIGGER USER" for one in triggered))
    if kind == "trigger":
        run(f"ALTER TABLE {table} ENABLE TRIGGER {trigger_of(table, guard)}")
    else:
        # A key that another table's key refers to goes with what refers to it.
        run(*(f'ALTER TABLE {table} DROP CONSTRAINT IF EXISTS "{one}" CASCADE' for one in constraints))
        run(*(f'DROP INDEX IF EXISTS "{one}"' for one in indexes))


def guard_off(kind: str, name: str) -> None:
    table, _, guard = name.partition(".")
    if kind == "trigger":
        run(f"ALTER TABLE {table} DISABLE TRIGGER {trigger_of(table, guard)}")
    else:
        run(f'ALTER TABLE {table} DROP CONSTRAINT IF EXISTS "{guard}" CASCADE', f'DROP INDEX IF EXISTS "{guard}"')
