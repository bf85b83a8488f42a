"""What a database's books come to, without ids and moments: equal books are equal here."""

from __future__ import annotations

from django.db import connection

SIGNED = "CASE WHEN c.kind = 'PARTNER_ACCRUED' THEN p.amount_minor ELSE -p.amount_minor END"
TOTALS = {
    "conversions": """
        SELECT count(*), sum(coalesce(
            (SELECT (a.content ->> 'amount_minor')::bigint FROM tracking_amendment a WHERE a.conversion_id = c.id
             ORDER BY a.sequence DESC, a.turn DESC LIMIT 1), c.amount_minor)) FROM tracking_conversion c
    """,
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
# Amendments that came before the first settling stand in the receipt, those after it in corrections (D11). A stated
# touch is named after its conversion, whose id is drawn at random.
RECEIPTS = """
    SELECT count(*), encode(sha256(string_agg(c.order_ref || r.sha256, ',' ORDER BY c.order_ref)::bytea), 'hex')
    FROM commissions_receipt r JOIN tracking_conversion c ON c.id = r.conversion_id
    WHERE NOT EXISTS (SELECT 1 FROM tracking_amendment a WHERE a.conversion_id = c.id)
      AND NOT EXISTS (SELECT 1 FROM tracking_statedtouch s WHERE s.conversion_id = c.id)
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
    # An undoing is named by the id of what it undoes, and ids have gaps.
    "jobs": """
        SELECT kind, regexp_replace(key, '^undo:[0-9]+$', 'undo'), state, total, done, moved, refused FROM records_job
    """,
    "items": "SELECT number, outcome, code FROM records_jobitem",
    "claims": """
        SELECT m.order_ref, m.kind, m.state, c.order_ref FROM claims_claim m
        LEFT JOIN tracking_conversion c ON c.id = m.conversion_id
    """,
    "moves": """
        SELECT 'claims', count(*) FROM claims_claimmove UNION ALL SELECT 'decisions', count(*) FROM commissions_move
        UNION ALL SELECT 'merges', count(*) FROM tracking_merge WHERE undone_at IS NULL
        UNION ALL SELECT 'undone', count(*) FROM tracking_merge WHERE undone_at IS NOT NULL
        UNION ALL SELECT 'erased', count(*) FROM tracking_person WHERE erased_at IS NOT NULL
        UNION ALL SELECT 'raw', count(*) FROM tracking_clientdata
        UNION ALL SELECT 'standings', count(*) FROM tracking_customerstanding
        UNION ALL SELECT 'kept', count(*) FROM tracking_keptjourney
        UNION ALL SELECT 'stated', count(*) FROM tracking_statedtouch
        UNION ALL SELECT 'repeats', count(*) FROM tracking_repeat
    """,
    "acts": "SELECT verb, count(*) FROM records_auditentry GROUP BY 1",
}
# What is a function of the facts told, whatever order they came in. Who was merged into whom, how many corrections it
# took and whom an undecided customer's standing names first depend on the order, and are not here.
FACTS = {
    "journeys": """
        SELECT count(*), encode(
            sha256(string_agg(c.order_ref || (r.body ->> 'touches'), ',' ORDER BY c.order_ref)::bytea), 'hex')
        FROM commissions_receipt r JOIN tracking_conversion c ON c.id = r.conversion_id
        WHERE NOT EXISTS (SELECT 1 FROM tracking_statedtouch s WHERE s.conversion_id = c.id)
    """,
    "persons": """
        SELECT visitors, count(*), encode(sha256(string_agg(names, ';' ORDER BY names)::bytea), 'hex') FROM (
            SELECT count(*) FILTER (WHERE kind = 'VISITOR') AS visitors,
                string_agg(kind || value, ',' ORDER BY kind, value) AS names
            FROM tracking_identitykey WHERE person_id IS NOT NULL GROUP BY person_id
        ) p GROUP BY 1
    """,
    "shared": "SELECT kind, value FROM tracking_identitykey WHERE person_id IS NULL",
    "links": "SELECT severed_at IS NULL, count(*) FROM tracking_identitylink GROUP BY 1",
    "sightings": "SELECT kind, key_id IS NULL, count(*) FROM tracking_sighting GROUP BY 1, 2",
    "decided": """
        SELECT c.order_ref, d.state FROM commissions_decision d JOIN tracking_conversion c ON c.id = d.conversion_id
    """,
    "duplicates": """
        SELECT c.order_ref, o.order_ref FROM tracking_duplicate d JOIN tracking_conversion c ON c.id = d.conversion_id
        JOIN tracking_conversion o ON o.id = d.original_id
    """,
    "each": """
        SELECT c.order_ref, p.slug, m.payable, sum(m.amount_minor) FROM commissions_commission m
        JOIN tracking_conversion c ON c.id = m.conversion_id JOIN partners_partner p ON p.id = m.partner_id
        GROUP BY 1, 2, 3
    """,
    "refunds": """
        SELECT count(*), sum(amount_minor) FROM tracking_refund r WHERE NOT EXISTS (
            SELECT 1 FROM tracking_refund w
            WHERE w.order_ref = r.order_ref AND w.goal = r.goal AND w.advertiser_id = r.advertiser_id
              AND w.kind = 'WHOLE'
        )
    """,
    "amendments": "SELECT count(*), sum(sequence) FROM tracking_amendment",
}


def totals(*, exact: bool = False, told: bool = False) -> dict[str, list[list[str]]]:
    """Return the sums of the books, sorted; `told` adds what came of each fact, `exact` the numbers of rows."""
    queries = {**TOTALS, "receipts": RECEIPTS, **(FACTS if told else {}), **(ROWS if exact else {})}
    found = {}
    with connection.cursor() as cursor:
        for name, sql in queries.items():
            cursor.execute(sql)
            found[name] = sorted([str(value) for value in row] for row in cursor.fetchall())
    return found


def differences(one: dict[str, list[list[str]]], other: dict[str, list[list[str]]]) -> list[str]:
    """Return what two books say differently, in sentences; of long lists only the rows that differ."""
    return [
        f"{name}: {_apart(one[name], other[name])} is not {_apart(other[name], one[name])}"
        for name in one
        if one[name] != other[name]
    ]


def _apart(rows: list[list[str]], others: list[list[str]]) -> list[list[str]]:
    known = {tuple(row) for row in others}
    return [row for row in rows if tuple(row) not in known][:10] if len(rows) > 20 else rows
