"""References that the database asks once a statement, where a foreign key would ask row by row (D8)."""

import pgtrigger

# Conversions are never deleted, so that whoever finds one need not hold it.
OF_ITS_CONVERSION = (
    pgtrigger.Trigger(
        name="is_of_a_conversion",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="new_rows"),
        func="""
            IF EXISTS (
                SELECT 1 FROM new_rows n LEFT JOIN LATERAL (
                    SELECT advertiser_id FROM tracking_conversion WHERE id = n.conversion_id OFFSET 0
                ) c ON true
                WHERE c.advertiser_id IS DISTINCT FROM n.advertiser_id
            ) THEN
                RAISE EXCEPTION 'a decision and a receipt are of a conversion of their advertiser'
                    USING ERRCODE = 'foreign_key_violation';
            END IF;
            RETURN NULL;
        """,
    ),
    pgtrigger.Protect(
        name="stays_with_its_conversion",
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.conversion_id IS DISTINCT FROM NEW.conversion_id"),
    ),
)
