"""The reference to the conversion is checked once a statement, with the sum, instead of once a row."""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("attribution", "0003_coupon_rules"),
        ("tracking", "0002_partitions"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="share",
            name="shares_sum_to_one",
        ),
        migrations.AlterField(
            model_name="share",
            name="conversion",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="shares",
                to="tracking.conversion",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="share",
            trigger=pgtrigger.compiler.Trigger(
                name="shares_sum_to_one",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n                    IF EXISTS (\n                        SELECT 1 FROM (SELECT DISTINCT conversion_id FROM new_rows) n\n                        CROSS JOIN LATERAL (\n                            SELECT sum(s.numerator) AS parts, min(s.denominator) AS low, max(s.denominator) AS high\n                            FROM attribution_share s WHERE s.conversion_id = n.conversion_id\n                        ) found\n                        WHERE parts <> high OR low <> high\n                    ) THEN\n                        RAISE EXCEPTION 'shares of a conversion must sum to one' USING ERRCODE = 'check_violation';\n                    END IF;\n                    IF EXISTS (\n                        SELECT 1 FROM (SELECT DISTINCT conversion_id FROM new_rows) n\n                        LEFT JOIN LATERAL (\n                            SELECT 1 AS there FROM tracking_conversion WHERE id = n.conversion_id OFFSET 0\n                        ) c ON true\n                        WHERE c.there IS NULL\n                    ) THEN\n                        RAISE EXCEPTION 'a share is of a conversion' USING ERRCODE = 'foreign_key_violation';\n                    END IF;\n                    RETURN NULL;\n                ",
                    hash="e7e8df3865934bd775e49fccc280445121734d4e",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_shares_sum_to_one_36949",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="attribution_share",
                    when="AFTER",
                ),
            ),
        ),
    ]
