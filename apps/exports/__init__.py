"""Files for finance and for leaving."""
