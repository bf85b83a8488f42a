"""Guards of the database that rooms share."""

import pgtrigger


def asked_once(name: str, func: str) -> pgtrigger.Trigger:
    """Return a trigger that asks all rows of an insert at once, as `new_rows`, where keys would ask each (D8)."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="new_rows"),
        func=func,
    )
