"""Shares, commissions and receipts are immutable from the decision on; before it they are replaced as a whole."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION commissions_refuse_decided() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.conversion_id ELSE NEW.conversion_id END;
BEGIN
    IF EXISTS (
        SELECT 1 FROM commissions_decision
        WHERE conversion_id = touched AND state IN ('APPROVED', 'REJECTED')
    ) THEN
        RAISE EXCEPTION 'the conversion is decided: correct it by adding' USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER share_kept_once_decided BEFORE INSERT OR DELETE ON attribution_share
    FOR EACH ROW EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER receipt_kept_once_decided BEFORE INSERT OR UPDATE OR DELETE ON commissions_receipt
    FOR EACH ROW EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER commission_kept_once_decided BEFORE DELETE ON commissions_commission
    FOR EACH ROW EXECUTE FUNCTION commissions_refuse_decided();
CREATE TRIGGER sale_commission_only_before_decision BEFORE INSERT ON commissions_commission
    FOR EACH ROW WHEN (NEW.kind = 'SALE') EXECUTE FUNCTION commissions_refuse_decided();
"""
BACKWARD = """
DROP TRIGGER share_kept_once_decided ON attribution_share;
DROP TRIGGER receipt_kept_once_decided ON commissions_receipt;
DROP TRIGGER commission_kept_once_decided ON commissions_commission;
DROP TRIGGER sale_commission_only_before_decision ON commissions_commission;
DROP FUNCTION commissions_refuse_decided();
"""


class Migration(migrations.Migration):
    dependencies = [("commissions", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
