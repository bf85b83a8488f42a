"""What must hold in the books, as queries: each returns the rows that are wrong.

A query names whole tables. Of one advertiser it is asked with a part of each in the table's place: such a part is found
by an index, whatever the planner knows, and nobody else's rows are read.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A query that returns (advertiser id, subject, found, expected) for every row that is wrong.

    One that is `of_conversions` compares what hangs on each by itself, so that it can be asked of some of them. One
    that is `of_everybody` is asked of whole tables only: no index finds an advertiser's rows.
    """

    invariant: str
    says: str
    sql: str
    of_conversions: bool = False
    of_everybody: bool = False

    @property
    def sql_of_part(self) -> str:
        """Return the query for the conversions of `%(ids)s`, or else for the advertiser `%(advertiser)s`."""
        parts = OF_CONVERSIONS if self.of_conversions else OF_ADVERTISER
        names = ", ".join(f"{table} AS NOT MATERIALIZED ({part})" for table, part in parts.items() if table in self.sql)
        return f"WITH {names} SELECT * FROM ({self.sql}) found"


OF_CONVERSIONS = {
    "tracking_conversion": "SELECT * FROM tracking_conversion WHERE id = ANY(%(ids)s::uuid[])",
    **{
        table: f"SELECT * FROM {table} WHERE conversion_id = ANY(%(ids)s::uuid[])"
        for table in (
            *("attribution_share", "commissions_commission", "commissions_receipt", "commissions_decision"),
            *("tracking_unsettled", "tracking_repeat"),
        )
    },
}
OF_ADVERTISER = {
    table: f"SELECT * FROM {table} WHERE advertiser_id = %(advertiser)s"
    for table in (
        *(
            "tracking_conversion",
            "commissions_commission",
            "ledger_account",
            "ledger_posting",
            "ledger_unstatedposting",
        ),
        *("statements_statement", "statements_statementline", "invoices_invoice", "invoices_settlement"),
        *("invoices_numberseries", "records_document"),
    )
}
# Decisions have no index by advertiser: each is asked for by its key.
OF_ADVERTISER["commissions_decision"] = """
    SELECT d.* FROM (
        SELECT DISTINCT conversion_id FROM commissions_commission WHERE advertiser_id = %(advertiser)s
    ) m CROSS JOIN LATERAL (SELECT * FROM commissions_decision WHERE conversion_id = m.conversion_id OFFSET 0) d
"""


CHECKS = [
    Check(
        "I1",
        "shares of a conversion sum to one",
        """
        SELECT min(advertiser_id), 'conversion ' || conversion_id, sum(numerator), max(denominator)
        FROM attribution_share GROUP BY conversion_id
        HAVING sum(numerator) <> max(denominator) OR min(denominator) <> max(denominator)
        """,
        of_conversions=True,
    ),
    Check(
        "I1",
        "attributed revenue adds up to the conversion's amount",
        """
        SELECT c.advertiser_id, 'conversion ' || c.id, sum(s.revenue_minor),
            coalesce((a.content ->> 'amount_minor')::bigint, c.amount_minor)
        FROM tracking_conversion c JOIN attribution_share s ON s.conversion_id = c.id
        JOIN commissions_receipt r ON r.conversion_id = c.id
        LEFT JOIN tracking_repeat p ON p.conversion_id = c.id
        LEFT JOIN tracking_amendment a
            ON a.conversion_id IN (c.id, p.original_id) AND a.sequence = (r.body ->> 'amendment')::int
            AND a.turn = coalesce((r.body ->> 'turn')::int, 0)
        GROUP BY c.advertiser_id, c.id, c.amount_minor, a.id, a.content
        HAVING sum(s.revenue_minor) <> coalesce((a.content ->> 'amount_minor')::bigint, c.amount_minor)
        """,
        of_conversions=True,
    ),
    Check(
        "I1",
        "corrections take no more than a partner had of the conversion",
        """
        SELECT min(advertiser_id), 'conversion ' || conversion_id || ' partner ' || partner_id, sum(amount_minor), 0
        FROM commissions_commission GROUP BY conversion_id, partner_id HAVING sum(amount_minor) < 0
        """,
        of_conversions=True,
    ),
    Check(
        "I1",
        "commission cents add up to the receipt's total",
        """
        SELECT r.advertiser_id, 'conversion ' || r.conversion_id, coalesce(sum(m.amount_minor), 0), r.total_minor
        FROM commissions_receipt r
        LEFT JOIN commissions_commission m ON m.conversion_id = r.conversion_id AND m.kind = 'SALE'
        GROUP BY r.advertiser_id, r.conversion_id, r.total_minor
        HAVING coalesce(sum(m.amount_minor), 0) <> r.total_minor
        """,
        of_conversions=True,
    ),
    Check(
        "I1",
        "a conversion has its receipt and its decision, or waits to be settled, or was rejected instead",
        """
        SELECT c.advertiser_id, 'conversion ' || c.id,
            (r.conversion_id IS NOT NULL)::int + (d.conversion_id IS NOT NULL)::int, 2
        FROM tracking_conversion c LEFT JOIN commissions_receipt r ON r.conversion_id = c.id
        LEFT JOIN commissions_decision d ON d.conversion_id = c.id
        LEFT JOIN tracking_unsettled u ON u.conversion_id = c.id
        WHERE (r.conversion_id IS NULL OR d.conversion_id IS NULL)
          AND (r.conversion_id IS NOT NULL OR d.state IS DISTINCT FROM 'REJECTED')
          AND (u.conversion_id IS NULL OR (r.conversion_id IS NULL) <> (d.conversion_id IS NULL))
        """,
        of_conversions=True,
    ),
    Check(
        "I1",
        "shares and commissions of each winner are what the receipt says",
        """
        WITH said AS (
            SELECT r.advertiser_id, r.conversion_id, w.item ->> 0 AS partner, (w.item ->> 1)::numeric AS numerator,
                (w.item ->> 2)::bigint AS amount, (w.item ->> 3)::bigint AS revenue,
                (r.body ->> 'den')::numeric AS denominator
            FROM commissions_receipt r CROSS JOIN LATERAL jsonb_array_elements(r.body -> 'winners') AS w(item)
        ), kept AS (
            SELECT s.conversion_id, p.slug AS partner, s.numerator, s.denominator, s.revenue_minor, m.amount_minor
            FROM attribution_share s JOIN partners_partner p ON p.id = s.partner_id
            JOIN commissions_receipt r ON r.conversion_id = s.conversion_id
            LEFT JOIN commissions_commission m
                ON m.conversion_id = s.conversion_id AND m.partner_id = s.partner_id AND m.kind = 'SALE'
        )
        SELECT coalesce(said.advertiser_id, c.advertiser_id),
            'conversion ' || conversion_id || ' ' || partner, kept.amount_minor, said.amount
        FROM said FULL JOIN kept USING (conversion_id, partner)
        JOIN tracking_conversion c ON c.id = conversion_id
        WHERE said.numerator IS DISTINCT FROM kept.numerator OR said.denominator IS DISTINCT FROM kept.denominator
           OR said.amount IS DISTINCT FROM kept.amount_minor OR said.revenue IS DISTINCT FROM kept.revenue_minor
        """,
        of_conversions=True,
    ),
    Check(
        "I2",
        "a posting has two accounts of one currency and a positive amount",
        """
        SELECT p.advertiser_id, p.reference, p.amount_minor, 1
        FROM ledger_posting p LEFT JOIN ledger_account d ON d.id = p.debit_id
        LEFT JOIN ledger_account c ON c.id = p.credit_id
        WHERE p.amount_minor <= 0 OR d.id = c.id
           OR (d.currency, d.advertiser_id) IS DISTINCT FROM (p.currency, p.advertiser_id)
           OR (c.currency, c.advertiser_id) IS DISTINCT FROM (p.currency, p.advertiser_id)
        """,
    ),
    Check(
        "I2",
        "accrued to a partner is what is unstated or stated and not settled",
        """
        WITH book AS (
            SELECT a.advertiser_id, a.partner_id, a.currency, coalesce(sum(m.amount), 0) AS accrued
            FROM ledger_account a LEFT JOIN (
                SELECT credit_id AS account_id, amount_minor AS amount FROM ledger_posting
                UNION ALL SELECT debit_id, -amount_minor FROM ledger_posting
            ) m ON m.account_id = a.id
            WHERE a.kind = 'PARTNER_ACCRUED' GROUP BY a.id, a.advertiser_id, a.partner_id, a.currency
        ), waiting AS (
            SELECT advertiser_id, partner_id, currency, sum(signed_minor) AS amount FROM ledger_unstatedposting
            GROUP BY 1, 2, 3
        ), stated AS (
            SELECT s.advertiser_id, s.partner_id, s.currency, sum(s.earned_minor) AS amount FROM statements_statement s
            WHERE NOT EXISTS (
                SELECT 1 FROM invoices_settlement x WHERE x.statement_id = s.id AND x.reversed_at IS NULL
            ) GROUP BY 1, 2, 3
        )
        SELECT advertiser_id, 'partner ' || partner_id || ' ' || currency, coalesce(b.accrued, 0),
            coalesce(w.amount, 0) + coalesce(s.amount, 0)
        FROM book b FULL JOIN waiting w USING (advertiser_id, partner_id, currency)
        FULL JOIN stated s USING (advertiser_id, partner_id, currency)
        WHERE coalesce(b.accrued, 0) <> coalesce(w.amount, 0) + coalesce(s.amount, 0)
        """,
    ),
    Check(
        "I2",
        "payable to a partner is what its open documents and settlements without a document say",
        """
        WITH book AS (
            SELECT a.advertiser_id, a.partner_id, a.currency, coalesce(sum(m.amount), 0) AS payable
            FROM ledger_account a LEFT JOIN (
                SELECT credit_id AS account_id, amount_minor AS amount FROM ledger_posting
                UNION ALL SELECT debit_id, -amount_minor FROM ledger_posting
            ) m ON m.account_id = a.id
            WHERE a.kind = 'PARTNER_PAYABLE' GROUP BY a.id, a.advertiser_id, a.partner_id, a.currency
        ), documents AS (
            SELECT advertiser_id, partner_id, currency, sum(gross_minor) AS amount FROM invoices_invoice
            WHERE kind = 'self_billed_invoice' GROUP BY 1, 2, 3
        ), without AS (
            SELECT s.advertiser_id, s.partner_id, s.currency, sum(s.payable_minor) AS amount
            FROM invoices_settlement x JOIN statements_statement s ON s.id = x.statement_id
            WHERE x.invoice_id IS NULL AND x.reversed_at IS NULL GROUP BY 1, 2, 3
        )
        SELECT advertiser_id, 'partner ' || partner_id || ' ' || currency, coalesce(b.payable, 0),
            coalesce(d.amount, 0) + coalesce(w.amount, 0)
        FROM book b FULL JOIN documents d USING (advertiser_id, partner_id, currency)
        FULL JOIN without w USING (advertiser_id, partner_id, currency)
        WHERE coalesce(b.payable, 0) <> coalesce(d.amount, 0) + coalesce(w.amount, 0)
        """,
    ),
    Check(
        "I2",
        "every payable commission of an approved conversion is in the book, and no other",
        """
        WITH book AS (
            SELECT p.advertiser_id, substring(p.reference FROM '^(.+?)(:reversed)?$') AS subject,
                sum(CASE WHEN a.kind = 'PARTNER_ACCRUED' THEN p.amount_minor ELSE -p.amount_minor END) AS amount
            FROM ledger_posting p JOIN ledger_account a ON a.id = p.credit_id
            WHERE p.purpose = 'COMMISSION' GROUP BY 1, 2
        ), owed AS (
            SELECT m.advertiser_id, 'commission:' || m.id AS subject,
                CASE WHEN d.state = 'APPROVED' AND m.payable THEN m.amount_minor ELSE 0 END AS amount
            FROM commissions_commission m JOIN commissions_decision d ON d.conversion_id = m.conversion_id
        )
        SELECT advertiser_id, subject, coalesce(b.amount, 0), coalesce(o.amount, 0)
        FROM book b FULL JOIN owed o USING (advertiser_id, subject)
        WHERE coalesce(b.amount, 0) <> coalesce(o.amount, 0)
        """,
    ),
    Check(
        "I4",
        "shares, commissions and receipts have their conversion's currency and advertiser",
        """
        SELECT c.advertiser_id, 'conversion ' || c.id, x.currency || ' of ' || x.advertiser_id,
            c.currency || ' of ' || c.advertiser_id
        FROM tracking_conversion c JOIN (
            SELECT conversion_id, currency, advertiser_id FROM attribution_share
            UNION SELECT conversion_id, currency, advertiser_id FROM commissions_commission
            UNION SELECT conversion_id, currency, advertiser_id FROM commissions_receipt
        ) x ON x.conversion_id = c.id WHERE (x.currency, x.advertiser_id) <> (c.currency, c.advertiser_id)
        """,
        of_conversions=True,
    ),
    Check(
        "I4",
        "a commission has its conversion",
        """
        SELECT m.advertiser_id, 'commission ' || m.id, 0, 1
        FROM commissions_commission m
        LEFT JOIN tracking_conversion c ON c.id = m.conversion_id AND c.advertiser_id = m.advertiser_id
        WHERE c.id IS NULL
        """,
    ),
    Check(
        "I4",
        "a share and a receipt have their conversion",
        """
        SELECT x.advertiser_id, x.kind || ' of conversion ' || x.conversion_id, 0, 1
        FROM (
            SELECT 'share' AS kind, conversion_id, advertiser_id FROM attribution_share
            UNION ALL SELECT 'receipt', conversion_id, advertiser_id FROM commissions_receipt
        ) x LEFT JOIN tracking_conversion c ON c.id = x.conversion_id AND c.advertiser_id = x.advertiser_id
        WHERE c.id IS NULL
        """,
        of_everybody=True,
    ),
    Check(
        "I5",
        "an order is one conversion for each goal",
        """
        SELECT advertiser_id, 'order ' || goal || ' ' || order_ref, count(*), 1 FROM tracking_conversion
        GROUP BY advertiser_id, goal, order_ref HAVING count(*) > 1
        """,
    ),
    Check(
        "I9",
        "a commission posting is on one statement or waits for one",
        """
        SELECT p.advertiser_id, p.reference, (l.id IS NOT NULL)::int + (u.posting_id IS NOT NULL)::int, 1
        FROM ledger_posting p LEFT JOIN statements_statementline l ON l.posting_id = p.id
        LEFT JOIN ledger_unstatedposting u ON u.posting_id = p.id
        WHERE p.purpose = 'COMMISSION' AND (l.id IS NOT NULL) = (u.posting_id IS NOT NULL)
        """,
    ),
    Check(
        "I9",
        "a statement earned what its lines say",
        """
        SELECT s.advertiser_id, 'statement ' || s.id, coalesce(sum(l.amount_minor), 0), s.earned_minor
        FROM statements_statement s LEFT JOIN statements_statementline l ON l.statement_id = s.id
        GROUP BY s.advertiser_id, s.id, s.earned_minor, s.line_count
        HAVING coalesce(sum(l.amount_minor), 0) <> s.earned_minor OR count(l.id) <> s.line_count
        """,
    ),
    Check(
        "I9",
        "a statement's line says what its posting says, and was due before the period's end",
        """
        SELECT l.advertiser_id, 'statement line ' || l.id, l.amount_minor,
            CASE WHEN a.kind = 'PARTNER_ACCRUED' THEN p.amount_minor ELSE -p.amount_minor END
        FROM statements_statementline l LEFT JOIN ledger_posting p ON p.id = l.posting_id
        LEFT JOIN ledger_account a ON a.id = p.credit_id LEFT JOIN statements_statement s ON s.id = l.statement_id
        WHERE (p.due_on < upper(s.period)) IS NOT TRUE OR l.amount_minor IS DISTINCT FROM
            CASE WHEN a.kind = 'PARTNER_ACCRUED' THEN p.amount_minor ELSE -p.amount_minor END
        """,
    ),
    Check(
        "I11",
        "numbers of a series are 1..n without a gap",
        """
        SELECT n.advertiser_id, 'series ' || n.id, count(i.id), n.last_place
        FROM invoices_numberseries n LEFT JOIN invoices_invoice i ON i.series_id = n.id
        GROUP BY n.advertiser_id, n.id, n.last_place
        HAVING count(i.id) <> n.last_place OR (count(i.id) > 0 AND (min(i.place) <> 1 OR max(i.place) <> n.last_place))
        """,
    ),
    Check(
        "I12",
        "a document's bytes have the hash kept with them",
        """
        SELECT advertiser_id, 'document ' || id, encode(sha256(content), 'hex'), sha256 FROM records_document
        WHERE encode(sha256(content), 'hex') <> sha256
        """,
    ),
    Check(
        "I12",
        "a document's content says what its columns say",
        """
        SELECT advertiser_id, 'invoice ' || number, content -> 'totals', gross_minor FROM invoices_invoice
        WHERE content ->> 'number' IS DISTINCT FROM number OR content ->> 'currency' IS DISTINCT FROM currency
           OR (content -> 'totals' ->> 'net_minor')::bigint IS DISTINCT FROM net_minor
           OR (content -> 'totals' ->> 'gross_minor')::bigint IS DISTINCT FROM gross_minor
        """,
    ),
    Check(
        "I14",
        "a statement opens with what the one before carried",
        """
        SELECT advertiser_id, 'statement ' || id, opening_minor, before FROM (
            SELECT id, advertiser_id, opening_minor,
                coalesce(lag(carried_minor) OVER (PARTITION BY advertiser_id, partner_id, currency ORDER BY place), 0)
                    AS before
            FROM statements_statement
        ) s WHERE opening_minor <> before
        """,
    ),
    Check(
        "I14",
        "a statement pays nothing, or at least the minimum and all of it",
        """
        SELECT advertiser_id, 'statement ' || id, payable_minor, opening_minor + earned_minor FROM statements_statement
        WHERE opening_minor + earned_minor <> payable_minor + carried_minor OR payable_minor < 0
           OR (payable_minor > 0 AND (carried_minor <> 0 OR payable_minor < minimum_minor))
        """,
    ),
    Check(
        "I22",
        "what was approved is stated or waits to be stated",
        """
        WITH approved AS (
            SELECT p.advertiser_id, coalesce(c.partner_id, d.partner_id) AS partner_id, p.currency,
                sum(CASE WHEN c.kind = 'PARTNER_ACCRUED' THEN p.amount_minor ELSE -p.amount_minor END) AS amount
            FROM ledger_posting p JOIN ledger_account c ON c.id = p.credit_id JOIN ledger_account d ON d.id = p.debit_id
            WHERE p.purpose = 'COMMISSION' GROUP BY 1, 2, 3
        ), further AS (
            SELECT advertiser_id, partner_id, currency, sum(amount) AS amount FROM (
                SELECT advertiser_id, partner_id, currency, earned_minor AS amount FROM statements_statement
                UNION ALL SELECT advertiser_id, partner_id, currency, signed_minor FROM ledger_unstatedposting
            ) x GROUP BY 1, 2, 3
        )
        SELECT advertiser_id, 'partner ' || partner_id || ' ' || currency, coalesce(a.amount, 0), coalesce(f.amount, 0)
        FROM approved a FULL JOIN further f USING (advertiser_id, partner_id, currency)
        WHERE coalesce(a.amount, 0) <> coalesce(f.amount, 0)
        """,
    ),
    Check(
        "I22",
        "an invoice's net amount is what the statements it settles earned",
        """
        SELECT i.advertiser_id, 'invoice ' || i.number, i.net_minor, coalesce(sum(s.earned_minor), 0)
        FROM invoices_invoice i LEFT JOIN invoices_settlement x ON x.invoice_id = i.id
        LEFT JOIN statements_statement s ON s.id = x.statement_id
        GROUP BY i.advertiser_id, i.number, i.id, i.net_minor HAVING i.net_minor <> coalesce(sum(s.earned_minor), 0)
        """,
    ),
]
