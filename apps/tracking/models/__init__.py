"""Facts from outside, written once."""

from apps.tracking.models.changes import (
    Amendment,
    AmendmentOrigin,
    AwaitedClick,
    AwaitedSale,
    Refund,
    RefundKind,
    Repeat,
    StatedTouch,
    vouched_orders,
)
from apps.tracking.models.conversions import Conversion, ConversionLine, ConversionQuerySet
from apps.tracking.models.duplicates import Duplicate, FirstOfScope, LiftedDuplicate
from apps.tracking.models.persons import (
    CustomerStanding,
    IdentityKey,
    IdentityLink,
    KeyKind,
    Merge,
    Person,
    Sighting,
    StandingReason,
)
from apps.tracking.models.raw import ClientData
from apps.tracking.models.rejected import RejectedEvent
from apps.tracking.models.touches import ChannelClass, TouchKind, Touchpoint
from apps.tracking.models.worklist import KeptJourney, Stirred, Unsettled

__all__ = [
    "Amendment",
    "AmendmentOrigin",
    "AwaitedClick",
    "AwaitedSale",
    "ChannelClass",
    "ClientData",
    "Conversion",
    "ConversionLine",
    "ConversionQuerySet",
    "CustomerStanding",
    "Duplicate",
    "FirstOfScope",
    "IdentityKey",
    "IdentityLink",
    "KeptJourney",
    "KeyKind",
    "LiftedDuplicate",
    "Merge",
    "Person",
    "Refund",
    "RefundKind",
    "RejectedEvent",
    "Repeat",
    "Sighting",
    "StandingReason",
    "StatedTouch",
    "Stirred",
    "TouchKind",
    "Touchpoint",
    "Unsettled",
    "vouched_orders",
]
