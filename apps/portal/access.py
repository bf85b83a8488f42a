"""Whose portal it is: the partner of the person who signed in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.shortcuts import render as render_template
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST

from apps.core.actors import Actor, ActorKind
from apps.core.errors import NotFound
from apps.identity.models import Membership
from apps.partners.models import PartnerMembership, Partnership

CHOSEN = "portal_partner"
UTC = ZoneInfo("UTC")
View = Callable[..., HttpResponse]


def partner_page(view: View) -> View:
    """Let the partner's people in, and nobody else.

    Sets `request.partner`, `request.memberships` and `request.partnerships`; days are counted in the zone of the
    partner's first advertiser. What the view cannot find is a 404.
    """

    @login_required
    @cache_control(private=True)
    @wraps(view)
    def entered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        memberships = list(
            PartnerMembership.objects.filter(user=request.user)
            .select_related("partner__tax_profile", "partner__payout_profile")
            .order_by("partner__name")
        )
        if not memberships:
            return _elsewhere(request)
        chosen = request.session.get(CHOSEN)
        current = next((row for row in memberships if row.partner_id == chosen), memberships[0])
        request.memberships, request.partner = memberships, current.partner
        request.partnerships = list(
            Partnership.objects.filter(partner=current.partner)
            .select_related("advertiser", "group")
            .order_by("advertiser__name")
        )
        with timezone.override(request.partnerships[0].advertiser.zone if request.partnerships else UTC):
            try:
                return view(request, *args, **kwargs)
            except NotFound as refusal:
                raise Http404 from refusal

    return entered


def _elsewhere(request: HttpRequest) -> HttpResponse:
    """Send advertisers' staff to their console; tell everybody else what is missing."""
    user = request.user
    if user.is_staff or user.is_superuser or Membership.objects.filter(user=user).exists():
        return HttpResponseRedirect("/admin/")
    return render_template(request, "portal/stranger.html")


@require_POST
@partner_page
def switch(request: HttpRequest) -> HttpResponse:
    """Look at another of the person's partners from now on."""
    wanted = request.POST.get("partner", "")
    if not any(str(row.partner_id) == wanted for row in request.memberships):
        raise Http404
    request.session[CHOSEN] = int(wanted)
    return redirect("portal:overview")


def render(
    request: HttpRequest, template: str, *, as_of: bool = False, status: int = 200, **context: Any
) -> HttpResponse:
    """Render a page with what every page of the portal says."""
    shared = {
        "partner": request.partner,
        "memberships": request.memberships,
        "time_zone": timezone.get_current_timezone_name(),
        "as_of": timezone.now() if as_of else None,
    }
    return render_template(request, template, {**shared, **context}, status=status)


def actor_of(request: HttpRequest) -> Actor:
    return Actor(ActorKind.USER, str(request.user.pk), str(request.user))


def robots(request: HttpRequest) -> HttpResponse:
    """Ask crawlers to stay out: there is nothing public here."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")
