"""Accounts and immutable postings; knows nothing of commissions."""
