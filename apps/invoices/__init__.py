"""The numbered document that settles a statement."""
