"""The portal's filters and tags: formats and charts by their names, icons, words for codes, addresses."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from io import BytesIO

import segno
from django import template
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from apps.core.money import Money
from apps.portal import formats
from apps.portal.charts import chart_of, line_of

register = template.Library()

SPRITE = "vendor/lucide@1.62.0/icons.svg"

for written in (
    formats.money,
    formats.signed_money,
    formats.number,
    formats.figure,
    formats.percent,
    formats.share,
    formats.day,
    formats.clock,
    formats.moment,
):
    register.filter(written.__name__, written)

# --- pictures -------------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """An icon of the sprite; without a label it is decoration and hidden from screen readers."""
    meaning = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html('<svg class="icon {}" {}><use href="{}#{}"></use></svg>', css, meaning, static(SPRITE), name)


@register.simple_tag
def qr(address: str, label: str = "") -> SafeString:
    """The QR code of an address as inline SVG, dark on white in every theme."""
    out = BytesIO()
    segno.make(address, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, svgclass="qr", lineclass=None
    )
    svg = out.getvalue().decode()
    return mark_safe(svg.replace("<svg ", format_html('<svg role="img" aria-label="{}" ', label or address), 1))


@register.inclusion_tag("portal/components/chart.html")
def area_chart(points: Iterable[dict], label: str) -> dict:
    """A trend over days, as `chart_of` describes it; the table below says the same to those who do not see it."""
    return chart_of(points, label)


@register.simple_tag
def sparkline(values: Iterable[Money | Decimal | int]) -> SafeString:
    """A small line without words, beside the number it leads to."""
    line = line_of(values)
    if not line:
        return mark_safe("")
    return format_html(
        '<svg class="spark" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="chart-area" d="{}V100H0Z"/><path class="chart-line" d="{}"/></svg>',
        line,
        line,
    )


# --- words for codes --------------------------------------------------------------------------------

# status -> tone, icon, word
STATUSES = {
    "PENDING": ("warning", "clock", _("Pending")),
    "ON_HOLD": ("info", "circle-pause", _("On hold")),
    "APPROVED": ("success", "circle-check", _("Approved")),
    "LOCKED": ("success", "lock", _("Locked")),
    "REJECTED": ("error", "circle-x", _("Rejected")),
    "CORRECTED": ("info", "rotate-ccw", _("Corrected")),
    "STATED": ("primary", "file-text", _("On a statement")),
    "PAID": ("primary", "banknote", _("Paid")),
    "TEST": ("quiet", "flask-conical", _("Test")),
    "DUPLICATE": ("quiet", "copy", _("Duplicate")),
    "NOT_PAYABLE": ("quiet", "minus", _("Not payable")),
    "DRAFT": ("quiet", "clock", _("Draft")),
    "OPEN": ("warning", "hourglass", _("Open")),
    "CARRIED": ("info", "rotate-ccw", _("Carried forward")),
    "ISSUED": ("info", "file-text", _("Issued")),
    "INVOICED": ("info", "file-text", _("Invoiced")),
    "SETTLED": ("success", "circle-check", _("Settled")),
    "SENT": ("info", "banknote", _("On its way")),
    "FAILED": ("error", "circle-alert", _("Failed")),
    "REVERSED": ("quiet", "rotate-ccw", _("Reversed")),
    "OBJECTED": ("warning", "scale", _("Objection open")),
    "APPLIED": ("warning", "clock", _("Application under review")),
    "ACTIVE": ("success", "circle-check", _("Active")),
    "PAUSED": ("quiet", "circle-pause", _("Paused")),
    "ENDED": ("quiet", "minus", _("Ended")),
    "BLOCKED": ("error", "circle-x", _("Blocked")),
    "EXPIRED": ("quiet", "minus", _("Expired")),
    "UPCOMING": ("info", "clock", _("Starts later")),
    "OK": ("success", "circle-check", _("Complete")),
    "MISSING": ("error", "circle-alert", _("Missing")),
    "CHECKING": ("warning", "clock", _("Being checked")),
}

REASONS = {
    "returned": _("The goods were returned."),
    "cancelled": _("The order was cancelled."),
    "not_completed": _("The order was not completed."),
    "other_channel": _("Another channel brought the sale."),
    "terms_breach": _("It breaks the campaign's terms."),
    "code_misuse": _("The code was not yours to use."),
    "not_found": _("The shop does not know this order."),
    "payment_failed": _("The customer's payment failed."),
    "suspicious": _("It looks unusual and is under review."),
    "duplicate": _("The same sale was counted already."),
    "test": _("It was a test."),
    "over_cap": _("The campaign's cap was reached before it."),
    "deposit_exhausted": _("It waits until the advertiser tops up its deposit."),
    "line_rejected": _("This line of the order was declined."),
    "partner_review": _("Your account is under review."),
    "too_fast": _("It came unusually soon after the click."),
    # why a touch was left out
    "outside_window": _("before the attribution window"),
    "other_campaign": _("of another campaign"),
    "too_many": _("beyond the last 200 touches"),
    "repeat": _("a repeat of an earlier touch"),
    "after_conversion": _("after the sale"),
    "lower_level": _("a stronger channel was present"),
    "frozen": _("after the checkout had begun"),
    "goal": _("marks the checkout, earns nothing"),
    "not_winner": _("beyond the number of winners"),
}

TOUCHES = {
    "CLICK": ("mouse-pointer-click", _("Click")),
    "SOFT_CLICK": ("mouse-pointer-click", _("Soft click")),
    "VIEW": ("image", _("View")),
    "COUPON": ("ticket-percent", _("Visit through a coupon address")),
    "VISIT": ("route", _("Visit")),
    "CALL": ("mail", _("Call")),
    "STORE": ("shopping-bag", _("Store visit")),
    "EXTERNAL": ("external-link", _("External click")),
    "MANUAL": ("scale", _("Accepted claim")),
}


@register.simple_tag
def status(code: str, word: str = "") -> SafeString:
    """A status as colour, sign and word; an unknown code is shown as it is."""
    tone, sign, known = STATUSES.get(str(code), ("quiet", "info", str(code)))
    return format_html('<span class="tone tone-{}">{}{}</span>', tone, icon(sign), word or known)


@register.filter
def reason(code: str | None) -> str:
    """The reason's code as a sentence; an unknown one is shown as it is."""
    return str(REASONS.get(code, code)) if code else ""


@register.simple_tag
def touch_icon(kind: str) -> SafeString:
    return icon(TOUCHES.get(kind, ("route", ""))[0])


@register.filter
def touch_word(kind: str) -> str:
    return str(TOUCHES.get(kind, ("", kind))[1])


# --- addresses ----------------------------------------------------------------------------------------

CLAIMS = ("claim", "claim_new", "claim_upload")
# page -> icon, word, further pages below it
PAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "overview": ("layout-dashboard", _("Overview"), ()),
    "links": ("link-2", _("Links and codes"), ()),
    "conversions": ("shopping-bag", _("Conversions"), ("conversion",)),
    "payouts": ("wallet", _("Payouts"), ("statement",)),
    "claims": ("scale", _("Claims"), CLAIMS),
    "reports": ("chart-line", _("Reports"), ()),
    "campaigns": ("megaphone", _("Campaigns"), ("campaign",)),
    "forecast": ("trending-up", _("Forecast"), ()),
    "news": ("newspaper", _("News"), ()),
    "postbacks": ("webhook", _("Postbacks and API"), ()),
    "account": ("settings", _("Account"), ()),
}


SHORT = {"links": _("Links")}  # what fits below an icon of the phone's bar


@register.simple_tag(takes_context=True)
def portal_pages(context: template.Context) -> list[dict]:
    """The pages that this installation serves, with the one being read marked."""
    match = getattr(context.get("request"), "resolver_match", None)
    here = match.url_name if match else ""
    pages = []
    for name, (sign, word, below) in PAGES.items():
        try:
            url = reverse(f"portal:{name}")
        except NoReverseMatch:
            continue
        pages.append(
            {"url": url, "icon": sign, "word": word, "short": SHORT.get(name, word), "current": here in (name, *below)}
        )
    return pages


@register.filter
def bare(address: str) -> str:
    """An address without its scheme, to be read rather than followed."""
    return address.partition("://")[2] or address


@register.simple_tag(takes_context=True)
def keep_params(context: template.Context, *without: str) -> SafeString:
    """The address's other filters as hidden fields, so that one form does not drop them."""
    pairs = [
        (name, value) for name, values in context["request"].GET.lists() if name not in without for value in values
    ]
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', pairs)


@register.simple_tag(takes_context=True)
def language_target(context: template.Context) -> str:
    """Where the language chooser returns to: this page with its filters."""
    request = context.get("request")
    return request.get_full_path() if request else "/"
