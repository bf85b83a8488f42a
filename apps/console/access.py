"""Who may see and do what in the console: an advertiser at a time, by role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from apps.core.actors import Actor, ActorKind
from apps.identity.models import Advertiser, Membership, Role, User
from apps.records.services import record_act

CHOSEN = "console_advertiser"
EVERYBODY = frozenset(Role.values)
OWNERS = frozenset({Role.OWNER})
MANAGERS = frozenset({Role.OWNER, Role.MANAGER})
FINANCE = frozenset({Role.OWNER, Role.FINANCE})


@dataclass(frozen=True, slots=True)
class Access:
    """What a person may enter, and the advertiser whose data the request is about.

    `role` is what the person is there; an operator who has entered an advertiser acts as an owner, and each
    entering stands in the advertiser's audit log.
    """

    advertiser: Advertiser | None
    role: str | None
    memberships: tuple[Membership, ...]
    is_operator: bool

    @property
    def is_let_in(self) -> bool:
        return self.is_operator or bool(self.memberships)

    @property
    def has_choice(self) -> bool:
        return self.is_operator or len(self.memberships) > 1


def access_of(request: HttpRequest) -> Access:
    """Return the request's access, looked up once."""
    if not hasattr(request, "access"):
        request.access = _look_up(request)
        request.advertiser = request.access.advertiser
    return request.access


def _look_up(request: HttpRequest) -> Access:
    user = request.user
    if not (user.is_authenticated and user.is_active):
        return Access(None, None, (), False)
    memberships = tuple(Membership.objects.filter(user=user).select_related("advertiser").order_by("advertiser__name"))
    is_operator = bool(user.is_staff or user.is_superuser)
    chosen = request.session.get(CHOSEN)
    for membership in memberships:
        if chosen in (None, membership.advertiser_id):
            return Access(membership.advertiser, membership.role, memberships, is_operator)
    if is_operator and chosen is not None:
        advertiser = Advertiser.objects.filter(pk=chosen).first()
        return Access(advertiser, Role.OWNER if advertiser else None, memberships, True)
    if memberships:
        return Access(memberships[0].advertiser, memberships[0].role, memberships, is_operator)
    return Access(None, None, (), is_operator)


def advertisers_for(access: Access) -> list[Advertiser]:
    """Return the advertisers a person may enter: their own, for an operator all."""
    if access.is_operator:
        return list(Advertiser.objects.order_by("name"))
    return [membership.advertiser for membership in access.memberships]


def enter(request: HttpRequest, advertiser: Advertiser, *, now: datetime) -> None:
    """Make an advertiser the current one; an operator who is not of its team leaves a trace."""
    access = access_of(request)
    is_of_team = any(membership.advertiser_id == advertiser.pk for membership in access.memberships)
    if not is_of_team:
        record_act(
            advertiser=advertiser,
            actor=actor_of(request),
            verb="entered",
            subject=f"advertiser {advertiser.slug}",
            now=now,
        )
    request.session[CHOSEN] = advertiser.pk


def may(request: HttpRequest, roles: frozenset[str]) -> bool:
    """Tell whether the person's role with the current advertiser is one of `roles`."""
    return access_of(request).role in roles


def actor_of(request: HttpRequest) -> Actor:
    user: User = request.user
    return Actor(ActorKind.USER, str(user.pk), str(user))
