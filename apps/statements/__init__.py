"""What a partner earned in a period, frozen."""
