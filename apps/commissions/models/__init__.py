"""Plans and their assignment, what a share earns, the decision on it, and the receipt that explains it."""

from apps.commissions.models.decisions import (
    ConversionAlreadyDecided,
    Decision,
    DecisionQuerySet,
    DecisionState,
    HoldReason,
    Move,
    Reason,
    is_locked,
)
from apps.commissions.models.earnings import Commission, CommissionKind, Receipt
from apps.commissions.models.holds import HoldPolicy, PartnerReview
from apps.commissions.models.plans import CommissionPlan, CommissionRule, PlanAssignment, PlanVersion
from apps.commissions.models.superseded import Superseded

__all__ = [
    "Commission",
    "CommissionKind",
    "CommissionPlan",
    "CommissionRule",
    "ConversionAlreadyDecided",
    "Decision",
    "DecisionQuerySet",
    "DecisionState",
    "HoldPolicy",
    "HoldReason",
    "Move",
    "PartnerReview",
    "PlanAssignment",
    "PlanVersion",
    "Reason",
    "Receipt",
    "Superseded",
    "is_locked",
]
