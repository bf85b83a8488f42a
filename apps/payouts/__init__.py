"""The transfer that pays an invoice."""
