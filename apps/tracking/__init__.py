"""Facts from outside, written once: touchpoints, conversions and rejected events."""
