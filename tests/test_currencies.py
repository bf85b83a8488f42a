"""Amounts of two currencies never meet: one beside the other is refused, and without the guard is not."""

import pytest
from django.db import IntegrityError, connection, transaction

from tests.harms import copy, guard_off, new_id, other_guards_off, run
from tests.scene import scene

__all__ = ["scene"]
pytestmark = pytest.mark.django_db
US = {"currency": "'USD'"}
SHARE = "(SELECT max(id) FROM attribution_share WHERE partner_id IS NOT NULL)"


def in_dollars(table: str) -> str:
    """Return the statement that takes all rows of a conversion away and writes them again in another currency."""
    return (
        f"WITH gone AS (DELETE FROM {table} WHERE conversion_id = (SELECT max(conversion_id::text)::uuid FROM {table}) "
        f"RETURNING *) INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, "
        "to_jsonb(gone) || jsonb_build_object('currency', 'USD'))).* FROM gone"
    )


STRAYS = {
    ("attribution_share", "pgtrigger_shares_sum_to_one"): in_dollars("attribution_share"),
    ("commissions_commission", "pgtrigger_is_of_its_share"): copy(
        "commissions_commission", id=new_id("commissions_commission"), share_id=SHARE,
        conversion_id=f"(SELECT conversion_id FROM attribution_share WHERE id = {SHARE})",
        partner_id=f"(SELECT partner_id FROM attribution_share WHERE id = {SHARE})", **US,
    ),
    ("commissions_receipt", "pgtrigger_is_of_a_conversion"): in_dollars("commissions_receipt"),
    ("ledger_posting", "pgtrigger_is_of_its_accounts"): copy(
        "ledger_posting", id=new_id("ledger_posting"), reference="'TWIN'", **US
    ),
}  # fmt: skip


@pytest.mark.parametrize(("table", "guard"), STRAYS)
def test_an_amount_in_another_currency_is_refused_by_its_guard_alone(scene, table, guard):
    other_guards_off("trigger", f"{table}.{guard}")
    with pytest.raises(IntegrityError, match="currency"), transaction.atomic():
        run(STRAYS[table, guard])
    guard_off("trigger", f"{table}.{guard}")
    with connection.cursor() as cursor:
        cursor.execute(STRAYS[table, guard])
        assert cursor.rowcount
