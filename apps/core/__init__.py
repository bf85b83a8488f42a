"""Money, Period, ids, actors and error kinds; knows nobody and has no tables."""
