"""What partners say is missing or wrong."""
