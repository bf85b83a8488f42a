"""The console's own admin site: its door, its dashboard, its addresses."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from csp.decorators import csp
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from unfold.sites import UnfoldAdminSite

from apps.console.access import access_of, advertisers_for, enter
from apps.identity.models import Advertiser, Role
from apps.ledger.reconciling import parked_advertiser_ids

# The console speaks English alone until all of it is translated: half of a page in another language helps nobody.
LANGUAGE = "en"
Page = tuple[str, str, Callable[..., HttpResponse]]


class ConsoleSite(UnfoldAdminSite):
    site_title = "Tributary"
    index_title = _("Dashboard")
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.pages: list[Page] = []

    def page(self, address: str, name: str) -> Callable:
        """Register a page that no table owns; its view takes the request and what the address names."""

        def register(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
            self.pages.append((address, name, view))
            return view

        return register

    def extra_urls(self) -> list:
        chooser = path(
            "advertisers/", self.admin_view(self.choose_advertiser, needs_advertiser=False), name="advertisers"
        )
        return [chooser, *(path(address, self.admin_view(view), name=name) for address, name, view in self.pages)]

    def has_permission(self, request: HttpRequest) -> bool:
        return access_of(request).is_let_in

    def admin_view(self, view: Callable, cacheable: bool = False, needs_advertiser: bool = True) -> Callable:
        """Let only the advertiser's people and operators in, in the advertiser's time zone and the console's language,
        with Unfold's CSP."""
        guarded = super().admin_view(view, cacheable)

        @wraps(view)
        def enter_first(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            access = access_of(request)
            if access.is_operator and access.advertiser is None and needs_advertiser:
                return HttpResponseRedirect(reverse("admin:advertisers"))
            zone = access.advertiser.zone if access.advertiser else None
            with timezone.override(zone), translation.override(LANGUAGE):
                response = guarded(request, *args, **kwargs)
                if hasattr(response, "render") and callable(response.render) and not response.is_rendered:
                    response.render()
                response["Content-Language"] = LANGUAGE
                return response

        return csp(settings.CONSOLE_CSP)(enter_first)

    def login(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """Send people to the one login page of the house; a person without any advertiser is refused."""
        if request.user.is_authenticated and not access_of(request).is_let_in:
            raise PermissionDenied(_("You are not a member of any advertiser's team."))
        target = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
            target = reverse("admin:index")
        return redirect_to_login(target, reverse("account_login"))

    def logout(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """End the session (by POST only) and go to the one login page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        logout(request)
        return HttpResponseRedirect(reverse("account_login"))

    def password_change(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_change_password"))

    def choose_advertiser(self, request: HttpRequest) -> HttpResponse:
        access = access_of(request)
        allowed = advertisers_for(access)
        if request.method == "POST":
            advertiser = get_object_or_404(
                Advertiser, pk=request.POST.get("advertiser") or 0, pk__in=[a.pk for a in allowed]
            )
            enter(request, advertiser, now=timezone.now())
            messages.info(request, _("You are now working in %(name)s.") % {"name": advertiser.name})
            return HttpResponseRedirect(reverse("admin:index"))
        context = {**self.each_context(request), "title": _("Advertisers"), "advertisers": allowed, "access": access}
        context["parked"] = parked_advertiser_ids()
        return TemplateResponse(request, "console/advertisers.html", context)

    def index(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        from apps.console.dashboard import dashboard  # registered with the site it belongs to

        return dashboard(self, request)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict]:
        """The sidebar is by task, so nobody needs the list of tables."""
        return []

    def search(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        from apps.console.search import search

        return search(self, request)

    def each_context(self, request: HttpRequest) -> dict:
        role = access_of(request).role
        word = Role(role).label if role else ""
        return {**super().each_context(request), "console_role": word}

    def render(self, request: HttpRequest, template: str, title: str, **context: object) -> TemplateResponse:
        """Answer with a page of the console's own."""
        return TemplateResponse(request, template, {**self.each_context(request), "title": title, **context})


site = ConsoleSite()
