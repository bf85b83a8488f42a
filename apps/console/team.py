"""Settings: who works here, the advertiser itself, its legal entities, and what everybody did."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.console import display
from apps.console.access import OWNERS, access_of, actor_of, may
from apps.console.base import ConsoleAdmin, ReadOnlyAdmin
from apps.console.filters import Filter, moment_filters
from apps.console.forms import PlainForm
from apps.console.site import site
from apps.core.errors import Refusal
from apps.identity.models import Advertiser, LegalEntity, Membership, Role
from apps.pipeline.services.founding import add_legal_entity, revise_advertiser, revise_legal_entity
from apps.pipeline.services.staffing import add_member, change_role, is_last_owner, remove_member
from apps.records.models import AuditEntry


class MemberForm(PlainForm):
    email = forms.EmailField(label=gettext_lazy("E-mail"))
    name = forms.CharField(label=gettext_lazy("Name"), max_length=150, required=False)
    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        choices=Role.choices,
        help_text=gettext_lazy("Partner managers decide; finance closes months; analysts look; owners do all."),
    )


@admin.register(Membership, site=site)
class MembershipAdmin(ConsoleAdmin):
    writers = OWNERS
    can_delete = True
    list_display = ["person", "email", "shown_role", "last_login"]
    list_display_links = ["person"]
    ordering = ["user__email"]
    fields = ["user", "role"]
    readonly_fields = ["user"]
    empty_icon = "group"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("user")

    @admin.display(description=gettext_lazy("Name"), ordering="user__name")
    def person(self, obj: Membership) -> str:
        return str(obj.user)

    @admin.display(description=gettext_lazy("E-mail"), ordering="user__email")
    def email(self, obj: Membership) -> str:
        return obj.user.email

    @admin.display(description=gettext_lazy("Role"), ordering="role")
    def shown_role(self, obj: Membership) -> str:
        return obj.get_role_display()

    @admin.display(description=gettext_lazy("Last login"), ordering="user__last_login")
    def last_login(self, obj: Membership) -> str:
        return display.moment(obj.user.last_login) if obj.user.last_login else _("never")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict | None = None) -> HttpResponse:
        self.require(request, self.has_add_permission(request))
        form = MemberForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            by = {"actor": actor_of(request), "now": timezone.now()}
            try:
                membership = add_member(advertiser=access_of(request).advertiser, **form.cleaned_data, **by)
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                reset = request.build_absolute_uri(reverse("account_reset_password"))
                text = _("%(who)s is of the team. A new person sets a password at %(where)s.")
                messages.success(request, text % {"who": membership.user.email, "where": reset})
                return HttpResponseRedirect(self.list_url())
        return self.page(
            request, "console/form.html", _("Add to the team"), form=form, submit=_("Add"), cancel_url=self.list_url()
        )

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and is_last_owner(membership=obj))

    def revise(self, obj: Membership, values: dict[str, Any], by: dict[str, Any]) -> Membership:
        return change_role(membership=obj, **values, **by) if values else obj

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        remove_member(membership=obj, actor=actor_of(request), now=timezone.now())


@admin.register(Advertiser, site=site)
class AdvertiserAdmin(ConsoleAdmin):
    writers = OWNERS
    owner = "pk"
    list_display = ["name", "timezone", "currency"]
    fieldsets = [
        (None, {"fields": ["name", ("timezone", "currency")]}),
        (
            gettext_lazy("From sale to payment"),
            {"fields": [("decide_days", "lock_days", "pay_days"), "minimum_payout_minor"]},
        ),
        (gettext_lazy("Partners"), {"fields": ["shows_others"]}),
    ]
    readonly_fields = ["currency"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        advertiser = access_of(request).advertiser
        return Advertiser.objects.filter(pk=advertiser.pk if advertiser else None)

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """There is only one: its page is the list."""
        pk = access_of(request).advertiser.pk
        return HttpResponseRedirect(reverse("admin:identity_advertiser_change", args=[pk]))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)

        def clean_timezone(self: forms.ModelForm) -> str:
            name = self.cleaned_data["timezone"]
            if name not in available_timezones():
                raise ValidationError(_("There is no such time zone; write it like Europe/Berlin."))
            return name

        form.clean_timezone = clean_timezone
        return form

    def revise(self, obj: Advertiser, values: dict[str, Any], by: dict[str, Any]) -> Advertiser:
        return revise_advertiser(advertiser=obj, values=values, **by)

    def response_change(self, request: HttpRequest, obj: Advertiser) -> HttpResponse:
        messages.success(request, _("Saved."))
        return HttpResponseRedirect(request.path)


@admin.register(LegalEntity, site=site)
class LegalEntityAdmin(ConsoleAdmin):
    writers = OWNERS
    list_display = ["name", "city", "country", "vat_id", "number_prefix", "is_default"]
    fieldsets = [
        (None, {"fields": ["name", "address", ("postcode", "city", "country")]}),
        (gettext_lazy("Tax"), {"fields": [("vat_id", "tax_number"), "register"]}),
        (gettext_lazy("Documents"), {"fields": ["email", "number_prefix", "is_default"]}),
    ]
    intro = gettext_lazy("The companies that issue documents, each with number series of its own.")
    empty_title = gettext_lazy("No legal entity yet")
    empty_text = gettext_lazy("Invoices are issued by one: add name, address and VAT id.")
    empty_icon = "apartment"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)

        def clean_is_default(self: forms.ModelForm) -> bool:
            others = LegalEntity.objects.filter(advertiser=self.advertiser, is_default=True).exclude(
                pk=self.instance.pk
            )
            other = others.first() if self.cleaned_data["is_default"] else None
            if other:
                raise ValidationError(_("%s is the default; switch it off there first.") % other)
            return self.cleaned_data["is_default"]

        form.clean_is_default = clean_is_default
        return form

    def add(self, advertiser: Advertiser, values: dict[str, Any], by: dict[str, Any]) -> LegalEntity:
        return add_legal_entity(advertiser=advertiser, values=values, **by)

    def revise(self, obj: LegalEntity, values: dict[str, Any], by: dict[str, Any]) -> LegalEntity:
        return revise_legal_entity(entity=obj, values=values, **by)


@admin.register(AuditEntry, site=site)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["when", "actor_name", "did", "subject"]
    list_display_links = None
    search_fields = ["actor_name", "subject", "verb"]
    ordering = ["-at", "-pk"]
    sortable_by = ["when"]
    filters = [
        Filter(
            "kind",
            lambda rows, value, request: rows.filter(actor_kind=value),
            gettext_lazy("By"),
            lambda request: [
                ("USER", gettext_lazy("People")),
                ("KEY", gettext_lazy("API keys")),
                ("SYSTEM", gettext_lazy("The system")),
            ],
            "select",
        ),
        *moment_filters("at"),
    ]
    intro = gettext_lazy("Who did what, written in the same transaction as the act itself; never changed.")
    empty_title = gettext_lazy("Nothing has been done yet")
    empty_text = gettext_lazy("Every decision, change and closing from now on stands here.")
    empty_icon = "history"

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request, self.readers)

    @admin.display(description=gettext_lazy("When"), ordering="at")
    def when(self, obj: AuditEntry) -> str:
        return display.moment(obj.at)

    @admin.display(description=gettext_lazy("Did"))
    def did(self, obj: AuditEntry) -> str:
        return obj.verb.replace("_", " ")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        self.row(request, object_id)
        return HttpResponseRedirect(self.list_url())
