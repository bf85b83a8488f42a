"""References and decisions are asked once a statement, by index: no check grows with what is already there."""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

REFUSE = """
CREATE OR REPLACE FUNCTION commissions_refuse_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT conversion_id FROM touched) t CROSS JOIN LATERAL (
            SELECT state FROM commissions_decision WHERE conversion_id = t.conversion_id OFFSET 0
        ) d
        WHERE d.state IN ('APPROVED', 'REJECTED')
    ) THEN
        RAISE EXCEPTION 'the conversion is decided: correct it by adding' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION commissions_refuse_decided_sales() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT conversion_id FROM touched WHERE kind = 'SALE') t CROSS JOIN LATERAL (
            SELECT state FROM commissions_decision WHERE conversion_id = t.conversion_id OFFSET 0
        ) d
        WHERE d.state IN ('APPROVED', 'REJECTED')
    ) THEN
        RAISE EXCEPTION 'the conversion is decided: correct it by adding' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
"""
KEEP = """
CREATE FUNCTION commissions_keep_shares() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM touched t CROSS JOIN LATERAL (
            SELECT share_id FROM commissions_commission WHERE conversion_id = t.conversion_id AND kind = 'SALE'
            UNION ALL
            SELECT share_id FROM commissions_commission WHERE conversion_id = t.conversion_id AND NOT kind = 'SALE'
        ) c
        WHERE c.share_id = t.id
    ) THEN
        RAISE EXCEPTION 'the share has a commission' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER share_kept_for_its_commissions AFTER DELETE ON attribution_share
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION commissions_keep_shares();
"""
DROP = """
DROP TRIGGER share_kept_for_its_commissions ON attribution_share;
DROP FUNCTION commissions_keep_shares();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("attribution", "0004_references_by_statement"),
        ("campaigns", "0001_initial"),
        ("commissions", "0004_lighter_references"),
        ("identity", "0001_initial"),
        ("partners", "0002_slugs_stay"),
        ("tracking", "0002_partitions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="commission",
            name="share",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="commissions",
                to="attribution.share",
            ),
        ),
        migrations.AddIndex(
            model_name="commission",
            index=models.Index(
                condition=models.Q(("corrects__isnull", False)), fields=["corrects"], name="corrections_of_commission"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="commission",
            trigger=pgtrigger.compiler.Trigger(
                name="is_of_its_share",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    declare="DECLARE astray boolean; older boolean; held boolean := false;",
                    func="\n                    LOOP\n                        SELECT\n                            bool_or((s.conversion_id, s.partner_id) IS DISTINCT FROM (n.conversion_id, n.partner_id)),\n                            bool_or(s.xmin <> pg_current_xact_id()::xid)\n                        INTO astray, older\n                        FROM new_rows n LEFT JOIN LATERAL (\n                            SELECT conversion_id, partner_id, xmin FROM attribution_share WHERE id = n.share_id OFFSET 0\n                        ) s ON true\n                        WHERE n.share_id IS NOT NULL;\n                        IF astray THEN\n                            RAISE EXCEPTION 'a commission is of a share of its conversion and partner'\n                                USING ERRCODE = 'foreign_key_violation';\n                        END IF;\n                        EXIT WHEN held OR older IS NOT TRUE;\n                        PERFORM 1 FROM attribution_share WHERE id IN (SELECT share_id FROM new_rows) FOR KEY SHARE;\n                        held := true;\n                    END LOOP;\n                    RETURN NULL;\n                ",
                    hash="411e79c554d42a3fc1026aef02696317f210eed5",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_is_of_its_share_f7658",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="commissions_commission",
                    when="AFTER",
                ),
            ),
        ),
        migrations.RunSQL(REFUSE, migrations.RunSQL.noop),
        migrations.RunSQL(KEEP, DROP),
    ]
