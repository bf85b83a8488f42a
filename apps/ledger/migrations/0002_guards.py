"""The database keeps the book's currencies and owners apart: both sides of a posting are accounts of its own."""

from django.db import migrations

FORWARD = """
ALTER TABLE ledger_posting
    ADD CONSTRAINT posting_debit_is_of_its_currency FOREIGN KEY (debit_id, advertiser_id, currency)
        REFERENCES ledger_account (id, advertiser_id, currency),
    ADD CONSTRAINT posting_credit_is_of_its_currency FOREIGN KEY (credit_id, advertiser_id, currency)
        REFERENCES ledger_account (id, advertiser_id, currency);
"""
BACKWARD = """
ALTER TABLE ledger_posting
    DROP CONSTRAINT posting_debit_is_of_its_currency, DROP CONSTRAINT posting_credit_is_of_its_currency;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
