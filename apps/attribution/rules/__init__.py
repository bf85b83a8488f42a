"""Attribution: which touches count, and how much of one conversion belongs to whom. Pure.

`attribute(sale, touches, policy, grants)` is the one entry; everything else here is its vocabulary.
The steps, in their order: time, window, freeze, eligibility, soft clicks, unpaid `IGNORE` (`screening`), hierarchy
and repeats (`selecting`), weigh (`weighing`), adjustments (`adjusting`), unpaid `KEEP`/`REDISTRIBUTE`, sums per
partner, winner limit (`attributing`), coupon (`couponing`).
"""

from apps.attribution.rules.attributing import attribute
from apps.attribution.rules.couponing import COUPON_POLICIES, CouponGrant, code_key
from apps.attribution.rules.facts import CHANNEL_CLASSES, KINDS, Party, Sale, Touch, party
from apps.attribution.rules.policy import ADJUSTMENTS, Adjustment, Condition, Freeze, Policy
from apps.attribution.rules.result import Attribution, Roles, Winner
from apps.attribution.rules.screening import JOURNEY_LIMIT
from apps.attribution.rules.weighing import MODELS

__all__ = [
    "ADJUSTMENTS",
    "CHANNEL_CLASSES",
    "COUPON_POLICIES",
    "JOURNEY_LIMIT",
    "KINDS",
    "MODELS",
    "Adjustment",
    "Attribution",
    "Condition",
    "CouponGrant",
    "Freeze",
    "Party",
    "Policy",
    "Roles",
    "Sale",
    "Touch",
    "Winner",
    "attribute",
    "code_key",
    "party",
]
