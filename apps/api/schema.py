"""How the API's description tells of its keys and of what it refuses."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

EVERYWHERE = {
    401: ("expired_key", "invalid_key", "not_authenticated"),
    403: ("missing_scope",),
}
REPEATED = {409: ("idempotency_key_running",), 422: ("idempotency_key_reused", "invalid_idempotency_key")}
WORDS = {
    401: "No key, or one that is no longer valid.",
    403: "The key lacks the scope.",
    404: "There is no such thing, or it is not the caller's.",
    409: "It contradicts what is recorded; nothing is changed.",
    422: "The call itself is wrong; nothing is changed.",
}


class RefusedError(serializers.Serializer):
    code = serializers.CharField(help_text="Stable, for machines.")
    detail = serializers.CharField(help_text="For people; may be reworded.")
    attr = serializers.CharField(allow_null=True, help_text="The field it is about, `lines[0].unit_price`; or null.")


class Refused(serializers.Serializer):
    type = serializers.ChoiceField(choices=["validation_error", "client_error", "server_error"])
    errors = RefusedError(many=True)


def refusals(codes: dict[int, Sequence[str]]) -> dict[int, OpenApiResponse]:
    """Return the refusals of a call for its description, by status: the codes it gives beside those of every call."""
    return {status: _refused(status, found) for status, found in sorted(codes.items())}


def once(codes: dict[int, Sequence[str]]) -> dict[int, OpenApiResponse]:
    """Return the refusals of a call that takes an Idempotency-Key."""
    return refusals({status: (*codes.get(status, ()), *REPEATED.get(status, ())) for status in {*codes, *REPEATED}})


def _refused(status: int, codes: Sequence[str]) -> OpenApiResponse:
    told = ", ".join(f"`{code}`" for code in sorted(codes))
    return OpenApiResponse(Refused, description=f"{WORDS[status]} {told}.")


class CodedSchema(AutoSchema):
    """Describes with each call what is refused everywhere."""

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        found = dict(EVERYWHERE)
        if "{" in self.path:
            found[404] = ("not_found",)
        if self.method == "GET" and self._is_list_view():
            found[422] = ("unknown_filter",)
        for status, codes in found.items():
            if str(status) not in bodies:
                bodies[str(status)] = self._get_response_for_code(_refused(status, codes), str(status))
        return bodies


class KeyScheme(OpenApiAuthenticationExtension):
    target_class = "apps.api.access.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key of the advertiser, made in the console. Each call names the scope it needs.",
        }
