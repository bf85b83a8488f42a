"""Policies, which candidates count, and how much of a conversion belongs to whom: shares."""
