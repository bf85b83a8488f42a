"""The same guards, asked once a statement instead of once a row: settling writes thousands at a time."""

from django.db import migrations

FORWARD = """
DROP TRIGGER share_kept_once_decided ON attribution_share;
DROP TRIGGER receipt_kept_once_decided ON commissions_receipt;
DROP TRIGGER commission_kept_once_decided ON commissions_commission;
DROP TRIGGER sale_commission_only_before_decision ON commissions_commission;
DROP FUNCTION commissions_refuse_decided();

CREATE FUNCTION commissions_refuse_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM touched t JOIN commissions_decision d ON d.conversion_id = t.conversion_id
        WHERE d.state IN ('APPROVED', 'REJECTED')
    ) THEN
        RAISE EXCEPTION 'the conversion is decided: correct it by adding' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION commissions_refuse_decided_sales() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM touched t JOIN commissions_decision d ON d.conversion_id = t.conversion_id
        WHERE t.kind = 'SALE' AND d.state IN ('APPROVED', 'REJECTED')
    ) THEN
        RAISE EXCEPTION 'the conversion is decided: correct it by adding' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER share_not_added_once_decided AFTER INSERT ON attribution_share
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER share_kept_once_decided AFTER DELETE ON attribution_share
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER receipt_not_added_once_decided AFTER INSERT ON commissions_receipt
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER receipt_not_changed_once_decided AFTER UPDATE ON commissions_receipt
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER receipt_kept_once_decided AFTER DELETE ON commissions_receipt
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER commission_kept_once_decided AFTER DELETE ON commissions_commission
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER sale_commission_only_before_decision AFTER INSERT ON commissions_commission
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION commissions_refuse_decided_sales();
"""


class Migration(migrations.Migration):
    dependencies = [("commissions", "0002_guards"), ("attribution", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
