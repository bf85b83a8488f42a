"""The machines' door: REST."""
