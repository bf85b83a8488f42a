"""References that the database asks once a statement, where a foreign key would ask row by row (D8)."""

import pgtrigger

from apps.core.guards import asked_once


def of_its_conversion(*shared: str) -> tuple[pgtrigger.Trigger, ...]:
    """Return the triggers that hold rows to a conversion with which they have these columns in common.

    Conversions are never deleted, so that whoever finds one need not hold it.
    """
    theirs, own = (", ".join(f"{row}.{column}" for column in shared) for row in "cn")
    return (
        asked_once(
            "is_of_a_conversion",
            f"""
                IF EXISTS (
                    SELECT 1 FROM new_rows n LEFT JOIN LATERAL (
                        SELECT {", ".join(shared)} FROM tracking_conversion WHERE id = n.conversion_id OFFSET 0
                    ) c ON true
                    WHERE ROW({theirs}) IS DISTINCT FROM ROW({own})
                ) THEN
                    RAISE EXCEPTION 'a decision and a receipt are of a conversion of their advertiser and currency'
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
