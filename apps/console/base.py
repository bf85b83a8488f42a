"""What every page of the console shares: the advertiser's rows only, roles, a written trace, local templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import PermissionDenied
from django.db.models import DateField, DateTimeField, Field, ForeignKey, Model, QuerySet, TextField
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apps.campaigns.models import Campaign, Coupon, Enrollment
from apps.console.access import EVERYBODY, access_of, actor_of, may
from apps.console.books import books_of
from apps.console.filters import ConsoleChangeList, Filter, bar
from apps.console.forms import DayInput, MinorField, MomentField, MomentInput, OwnedForm
from apps.console.history import changes_of
from apps.core.errors import Refusal
from apps.identity.models import Advertiser
from apps.partners.models import AdSpace, Partner, PartnerGroup

# How a choice of a foreign key is narrowed to what the advertiser may name.
CHOICES: dict[type[Model], Callable[[Advertiser], QuerySet]] = {
    Advertiser: lambda advertiser: Advertiser.objects.filter(pk=advertiser.pk),
    Campaign: lambda advertiser: Campaign.objects.filter(advertiser=advertiser).order_by("name"),
    Coupon: lambda advertiser: Coupon.objects.filter(advertiser=advertiser).order_by("code"),
    Enrollment: lambda advertiser: Enrollment.objects.filter(advertiser=advertiser).select_related(
        "campaign", "ad_space"
    ),
    PartnerGroup: lambda advertiser: PartnerGroup.objects.filter(advertiser=advertiser).order_by("name"),
    Partner: lambda advertiser: Partner.objects.filter(partnerships__advertiser=advertiser).order_by("name"),
    AdSpace: lambda advertiser: AdSpace.objects.filter(partner__partnerships__advertiser=advertiser).order_by("name"),
}


class RolesMixin:
    """Permissions by role; Django's own permission tables are not asked."""

    readers: ClassVar[frozenset[str]] = EVERYBODY
    writers: ClassVar[frozenset[str]] = frozenset()
    # What a page can do at all; who may, its roles say.
    can_add = False
    can_change = False
    can_delete = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request, self.readers)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request, self.readers)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.can_add and may(request, self.writers)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.can_change and may(request, self.writers)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.can_delete and may(request, self.writers)

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        narrow = CHOICES.get(db_field.related_model)
        if narrow and "queryset" not in kwargs:
            kwargs["queryset"] = narrow(access_of(request).advertiser)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name.endswith("_minor"):
            return self.amount_field(db_field, access_of(request).advertiser.currency)
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        for button in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
            if field is not None and hasattr(field.widget, button):
                setattr(field.widget, button, False)
        return field

    def amount_field(self, db_field: Field, currency: str) -> MinorField:
        """Return the field of a column in minor units: people write 50.00, not 5000."""
        text = _("In %s. Empty: the advertiser's own.") % currency if db_field.null else _("In %s.") % currency
        return MinorField(
            currency=currency,
            label=str(db_field.verbose_name).capitalize(),
            required=not db_field.blank,
            help_text=text,
            widget=UnfoldAdminTextInputWidget({"inputmode": "decimal"}),
        )


class ConsoleAdmin(RolesMixin, ModelAdmin):
    """The base of every resource page.

    `owner` is the path to the advertiser; `tabs` gives the list's tabs as (word, query, count). A page that writes has
    `add(advertiser, values, by)` and `revise(obj, values, by)`, or one of them: each stores by one service of the row's
    room and returns the row; `by` says who and when.
    """

    add: Callable[..., Model] | None = None
    revise: Callable[..., Model] | None = None
    form = OwnedForm
    owner: ClassVar[str] = "advertiser"
    plural: ClassVar[str] = ""
    empty_title: ClassVar[str] = ""
    empty_text: ClassVar[str] = ""
    empty_icon: ClassVar[str] = "inbox"
    intro: ClassVar[str] = ""
    filters: ClassVar[Sequence[Filter]] = ()
    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True
    compressed_fields = True
    actions_on_bottom = False
    list_before_template = "console/list_head.html"
    warn_unsaved_form = True
    formfield_overrides: ClassVar[dict] = {
        DateTimeField: {"form_class": MomentField, "widget": MomentInput({"class": " ".join(INPUT_CLASSES)})},
        DateField: {"widget": DayInput({"class": " ".join(INPUT_CLASSES)})},
        ArrayField: {"widget": UnfoldAdminTextInputWidget},
        TextField: {"widget": UnfoldAdminTextareaWidget({"rows": 4})},
    }

    @property
    def can_add(self) -> bool:
        """Tell whether rows are made here: by `add`, or on a page of the resource's own."""
        return self.add is not None or type(self).add_view is not ModelAdmin.add_view

    @property
    def can_change(self) -> bool:
        return self.revise is not None

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).filter(**{self.owner: access_of(request).advertiser})

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if self.owner == "advertiser":
            form.advertiser = access_of(request).advertiser
        form.fixed = tuple(self.get_readonly_fields(request, obj)) if obj else ()
        form.refusal = getattr(request, "refusal", None)
        return form

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Write what the form says; what the service refuses is rolled back and shown at the field it names."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refusal as refusal:
            request.refusal = refusal
            return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Hand what people wrote to the one service that stores it, with its trace, in one transaction."""
        names = form.changed_data if change else form.cleaned_data
        values = {name: form.cleaned_data[name] for name in names}
        by = {"actor": actor_of(request), "now": timezone.now()}
        if change and self.revise:
            obj.pk = self.revise(obj, values, by).pk
        elif not change and self.add:
            obj.pk = self.add(access_of(request).advertiser, values, by).pk
        else:
            raise PermissionDenied

    def get_actions(self, request: HttpRequest) -> dict:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions if may(request, self.writers) else {}

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        raise Http404

    def tabs(self, request: HttpRequest) -> list[dict]:
        return []

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        context = {
            "tabs": self.tabs(request),
            "intro": self.intro,
            "filter_bar": bar(self.filters, request),
            **(extra_context or {}),
        }
        context.setdefault("title", self.heading())
        response = super().changelist_view(request, context)
        if isinstance(response, TemplateResponse) and "cl" in (response.context_data or {}):
            self.adorn(request, response.context_data["cl"].result_list)
        return response

    def heading(self) -> str:
        """Return what people call the whole list."""
        name = str(self.plural or self.opts.verbose_name_plural)
        return name[:1].upper() + name[1:]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ConsoleChangeList]:
        return ConsoleChangeList

    def adorn(self, request: HttpRequest, rows: Any) -> None:
        """Add to a page of rows what a second query finds for all of them at once."""

    # The services write the paper trail; Django's own log stays empty.
    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        pass

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        pass

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> None:
        pass

    def render_change_form(self, request: HttpRequest, context: dict, *args: Any, **kwargs: Any) -> HttpResponse:
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict | None = None) -> HttpResponse:
        obj = self.row(request, object_id)
        return self.page(request, "console/history.html", _("History of %s") % obj, changes=changes_of(obj))

    def require(self, request: HttpRequest, allowed: bool) -> None:
        if not allowed:
            raise PermissionDenied

    def row(self, request: HttpRequest, object_id: object) -> Any:
        """Return one of the advertiser's rows, or answer 404."""
        found = self.get_object(request, str(object_id))
        if found is None:
            raise Http404
        return found

    def page(self, request: HttpRequest, template: str, title: str, **context: object) -> TemplateResponse:
        """Answer with a page of this resource's own."""
        request.current_app = self.admin_site.name
        crumbs = [{"title": self.heading(), "link": self.list_url()}]
        shared = {
            **self.admin_site.each_context(request),
            "title": title,
            "list_url": self.list_url(),
            "crumbs": crumbs,
        }
        return TemplateResponse(request, template, {**shared, **context})

    def list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")


class ReadOnlyAdmin(ConsoleAdmin):
    """Facts and money: rows are looked at, and changed by services only."""


class FinanceAdmin(ReadOnlyAdmin):
    """Documents: their lists say when the books differ, because none is issued until they agree."""

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        books = books_of(access_of(request).advertiser)
        return super().changelist_view(request, {**(extra_context or {}), "books": books})
