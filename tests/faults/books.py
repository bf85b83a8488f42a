"""What a database's books come to, without ids and moments: equal books are equal here."""

from __future__ import annotations

from django.db import connection

SIGNED = "CASE WHEN c.kind = 'PARTNER_ACCRUED' THEN p.amount_minor ELSE -p.amount_minor END"
TOTALS = {
    "conversions": "SELECT count(*), sum(amount_minor) FROM tracking_conversion",
    "waiting": "SELECT count(*) FROM tracking_unsettled UNION ALL SELECT count(*) FROM tracking_awaitedsale",
    "decisions": "SELECT state, count(*) FROM commissions_decision GROUP BY 1",
    "earned": """
        SELECT p.slug, m.currency, sum(m.amount_minor) FROM commissions_commission m
        JOIN partners_partner p ON p.id = m.partner_id GROUP BY 1, 2
    """,
    "shares": """
        SELECT p.slug, count(*), sum(s.revenue_minor), sum(s.numerator::numeric / s.denominator)::numeric(20, 6)
        FROM attribution_share s LEFT JOIN partners_partner p ON p.id = s.partner_id GROUP BY 1
    """,
    "owed": f"""
        SELECT x.slug, p.currency, sum({SIGNED}) FROM ledger_posting p JOIN ledger_account c ON c.id = p.credit_id
        JOIN ledger_account d ON d.id = p.debit_id
        JOIN partners_partner x ON x.id = coalesce(c.partner_id, d.partner_id)
        WHERE p.purpose = 'COMMISSION' GROUP BY 1, 2
    """,
    "settled": "SELECT currency, sum(amount_minor) FROM ledger_posting WHERE purpose = 'SETTLEMENT' GROUP BY 1",
    "unstated": """
        SELECT p.slug, u.currency, sum(u.signed_minor) FROM ledger_unstatedposting u
        JOIN partners_partner p ON p.id = u.partner_id GROUP BY 1, 2
    """,
    "statements": """
        SELECT p.slug, s.currency, lower(s.period), opening_minor, earned_minor, payable_minor, carried_minor
        FROM statements_statement s JOIN partners_partner p ON p.id = s.partner_id
    """,
    "invoices": """
        SELECT i.number, p.slug, i.currency, net_minor, vat_minor, gross_minor, document_id IS NOT NULL
        FROM invoices_invoice i JOIN partners_partner p ON p.id = i.partner_id
    """,
}
# Amendments that came before the first settling stand in the receipt, those after it in corrections (D11).
RECEIPTS = """
    SELECT count(*), encode(sha256(string_agg(c.order_ref || r.sha256, ',' ORDER BY c.order_ref)::bytea), 'hex')
    FROM commissions_receipt r JOIN tracking_conversion c ON c.id = r.conversion_id
    WHERE NOT EXISTS (SELECT 1 FROM tracking_amendment a WHERE a.conversion_id = c.id)
"""
# What two runs of the same work must share row for row, and not only in their sums.
ROWS = {
    "rows": """
        SELECT 'postings', count(*) FROM ledger_posting
        UNION ALL SELECT 'commissions', count(*) FROM commissions_commission
        UNION ALL SELECT 'lines', count(*) FROM statements_statementline
        UNION ALL SELECT 'documents', count(*) FROM records_document
        UNION ALL SELECT 'series', coalesce(sum(last_place), 0) FROM invoices_numberseries
    """,
    "messages": "SELECT payload ->> 'template', sent_at IS NOT NULL, count(*) FROM outbox_outbox GROUP BY 1, 2",
    "acts": "SELECT verb, count(*) FROM records_auditentry GROUP BY 1",
}


def totals(*, exact: bool = False) -> dict[str, list[list[str]]]:
    """Return the sums of the books, sorted; `exact` adds the numbers of rows."""
    queries = {**TOTALS, "receipts": RECEIPTS, **(ROWS if exact else {})}
    found = {}
    with connection.cursor() as cursor:
        for name, sql in queries.items():
            cursor.execute(sql)
            found[name] = sorted([str(value) for value in row] for row in cursor.fetchall())
    return found


def differences(one: dict[str, list[list[str]]], other: dict[str, list[list[str]]]) -> list[str]:
    """Return what two books say differently, in sentences."""
    return [f"{name}: {one[name]} is not {other[name]}" for name in one if one[name] != other[name]]
