"""Who calls the API: an advertiser's key with its scopes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.core.actors import Actor, ActorKind
from apps.identity.models import AdvertiserKey

if TYPE_CHECKING:  # the settings of the framework name this module: importing its views here would go in a circle
    from rest_framework.views import APIView


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`; `request.auth` is the AdvertiserKey, nobody is `request.user`."""

    def authenticate(self, request: Request) -> tuple[None, AdvertiserKey] | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return None
        try:
            found = AdvertiserKey.objects.get_from_key(key.strip())
        except AdvertiserKey.DoesNotExist:
            raise AuthenticationFailed("The API key is unknown or revoked.", code="invalid_key") from None
        now = timezone.now()
        if found.has_expired:
            raise AuthenticationFailed("The API key has expired.", code="expired_key")
        if found.last_used_at is None or now - found.last_used_at > timedelta(minutes=5):
            AdvertiserKey.objects.filter(pk=found.pk).update(last_used_at=now)
        return None, found

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def actor_of(request: Request) -> Actor:
    """Return who acts: the key of the call, by its public prefix and name."""
    return Actor(ActorKind.KEY, request.auth.prefix, request.auth.name)


class HasScope(BasePermission):
    """The view names its scopes per action in `scopes`; `"*"` stands for every action."""

    message = "The key lacks the scope for this call."
    code = "missing_scope"

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, AdvertiserKey):
            return False
        scopes: dict[str, Any] = getattr(view, "scopes", {})
        action = getattr(view, "action", None) or request.method.lower()
        needed = scopes.get(action, scopes.get("*"))
        return needed is not None and needed in request.auth.scopes
