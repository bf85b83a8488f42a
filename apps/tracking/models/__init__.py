"""Facts from outside, written once."""

from apps.tracking.models.changes import Amendment, AwaitedClick, AwaitedSale, Refund, RefundKind, StatedTouch
from apps.tracking.models.conversions import Conversion, ConversionLine, ConversionQuerySet
from apps.tracking.models.duplicates import Duplicate, FirstOfScope
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
from apps.tracking.models.worklist import Unsettled

__all__ = [
    "Amendment",
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
    "KeyKind",
    "Merge",
    "Person",
    "Refund",
    "RefundKind",
    "RejectedEvent",
    "Sighting",
    "StandingReason",
    "StatedTouch",
    "TouchKind",
    "Touchpoint",
    "Unsettled",
]
