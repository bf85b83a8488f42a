"""Facts from outside, written once: touchpoints, conversions and refused calls."""
