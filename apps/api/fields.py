"""How the API writes amounts: decimal strings with a point, never floats."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.money import Money


@extend_schema_field({"type": "string", "format": "decimal", "example": "1083.29"})
class AmountField(serializers.Field):
    """Minor units in `source`, beside a currency (default: the row's own)."""

    def __init__(self, *, currency: str = "currency", **options: Any) -> None:
        self.currency_of = attrgetter(currency)
        super().__init__(**options, read_only=True)

    def get_attribute(self, instance: Any) -> Money | None:
        minor = super().get_attribute(instance)
        return None if minor is None else Money(minor, self.currency_of(instance))

    def to_representation(self, value: Money) -> str:
        return str(value)


@extend_schema_field({"type": "string", "format": "decimal", "nullable": True, "example": "12.50"})
class LaterAmountField(AmountField):
    """An amount that is null until it is known."""
