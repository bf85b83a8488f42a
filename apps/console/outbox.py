"""Connect: what leaves the house, what waits, and what people must look at."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.console import display
from apps.console.access import MANAGERS, actor_of, may
from apps.console.base import ReadOnlyAdmin
from apps.console.filters import Filter, moment_filters
from apps.console.site import site
from apps.messages.models import Outbox
from apps.messages.services import resend_message
from apps.pipeline.bell import message_bell

STATES = {
    "waiting": (gettext_lazy("Waiting"), "PENDING", lambda rows: rows.waiting()),
    "parked": (gettext_lazy("Parked"), "REJECTED", lambda rows: rows.parked()),
    "sent": (gettext_lazy("Sent"), "APPROVED", lambda rows: rows.sent()),
}


def in_state(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    return STATES[value][2](rows) if value in STATES else rows


def states(request: HttpRequest) -> list[tuple[str, str]]:
    return [(name, str(word)) for name, (word, _tone, _rows) in STATES.items()]


ABOUT = {
    "statement": gettext_lazy("Statement"),
    "invoice": gettext_lazy("Invoice"),
    "claim": gettext_lazy("Answer to a claim"),
    "books_differ": gettext_lazy("Books that differ"),
    "books_released": gettext_lazy("Books that are right again"),
    "invitation": gettext_lazy("Invitation"),
}


@admin.register(Outbox, site=site)
class OutboxAdmin(ReadOnlyAdmin):
    writers = MANAGERS
    plural = gettext_lazy("Messages")
    list_display = ["when", "what", "address", "state", "attempts", "next_or_error"]
    list_display_links = ["when"]
    search_fields = ["address", "kind"]
    ordering = ["-pk"]
    sortable_by = ["when"]
    actions = ["resend"]
    filters = [Filter("state", in_state, gettext_lazy("State"), states, "select"), *moment_filters("created_at")]
    intro = gettext_lazy(
        "What leaves: each message at least once, those about one thing in their order. What fails eight times is "
        "parked, blocks nobody, and can be sent again from here."
    )
    empty_title = gettext_lazy("Nothing has left yet")
    empty_text = gettext_lazy("Statements, invoices and warnings that are mailed are listed here with their attempts.")
    empty_icon = "outgoing_mail"

    @admin.display(description=gettext_lazy("Written"), ordering="pk")
    def when(self, obj: Outbox) -> str:
        return display.moment(obj.created_at)

    @admin.display(description=gettext_lazy("About"))
    def what(self, obj: Outbox) -> str:
        return str(ABOUT.get(obj.payload.get("template", obj.kind), obj.kind))

    @admin.display(description=gettext_lazy("State"))
    def state(self, obj: Outbox) -> str:
        name = "sent" if obj.sent_at else "parked" if obj.parked_at else "waiting"
        return display.badge(STATES[name][1], STATES[name][0])

    @admin.display(description=gettext_lazy("Next attempt, or last error"))
    def next_or_error(self, obj: Outbox) -> str:
        if obj.sent_at:
            return display.moment(obj.sent_at)
        return obj.last_error[:120] or display.moment(obj.due_at)

    @admin.action(description=gettext_lazy("Send again"))
    def resend(self, request: HttpRequest, queryset: QuerySet) -> None:
        self.require(request, may(request, self.writers))
        for message in queryset.order_by("pk"):
            resend_message(message=message, actor=actor_of(request), now=timezone.now())
        message_bell.ring()
        messages.success(request, _("The messages leave again."))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        message = self.row(request, object_id)
        title = _("Message to %s") % message.address
        log = message.log.order_by("pk")
        return self.page(request, "console/message.html", title, message=message, state=self.state(message), log=log)
