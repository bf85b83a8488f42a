"""What the portal's pages say money, shares, statuses and trends with, in the reader's language."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from io import BytesIO

import segno
from babel import Locale
from babel import dates as babel_dates
from babel.numbers import NumberPattern, format_decimal, format_percent, parse_pattern
from django import template
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from apps.core.money import Money, digits

register = template.Library()

SPRITE = "vendor/lucide@1.62.0/icons.svg"
NOTHING = "–"
# English readers are mostly Europeans: day before month, the currency behind the amount.
LOCALES = {"en": "en_150", "de": "de_DE", "ru": "ru_RU"}


def _locale() -> Locale:
    language = (get_language() or "en").split("-")[0]
    return Locale.parse(LOCALES.get(language, "en_150"))


# --- numbers --------------------------------------------------------------------------------------


@cache
def _pattern(locale: Locale, places: int) -> NumberPattern:
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    pattern.frac_prec = (places, places)
    return pattern


@register.filter
def money(value: Money | str | None) -> str:
    """`1,083.29 €`: an amount with its currency's own decimals; text passes unchanged, None is a dash."""
    if value is None or value == "":
        return NOTHING
    if not isinstance(value, Money):
        return str(value)
    locale = _locale()
    text = _pattern(locale, digits(value.currency)).apply(
        value.decimal, locale, currency=value.currency, currency_digits=False
    )
    return text.replace("-", "\N{MINUS SIGN}")


@register.filter
def signed_money(value: Money | str | None) -> str:
    """The amount with its sign always shown: `+30.00 €`."""
    text = money(value)
    return f"+{text}" if isinstance(value, Money) and value.minor > 0 else text


@register.filter
def number(value: int | Decimal | Fraction | str | None) -> str:
    """`12,408`: a count or a plain decimal, grouped; text passes unchanged."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, Fraction):
        value = Decimal(value.numerator) / Decimal(value.denominator)
    if not isinstance(value, int | Decimal):
        return str(value)
    return format_decimal(value, locale=_locale())


def unrounded_money(value: Decimal, currency: str) -> str:
    """`4.4784 €`: an amount before rounding, with at least its currency's own decimals."""
    locale = _locale()
    places = max(digits(currency), -int(value.as_tuple().exponent))
    text = _pattern(locale, places).apply(value, locale, currency=currency, currency_digits=False)
    return text.replace("-", "\N{MINUS SIGN}")


def decimal_text(value: Decimal) -> str:
    """`7.1255`: a decimal with all its places."""
    return format_decimal(value, locale=_locale(), decimal_quantization=False)


@register.filter
def figure(value: Money | int | Decimal | str | None) -> str:
    """An amount as money, any other number as a number."""
    return money(value) if isinstance(value, Money) else number(value)


@register.filter
def percent(value: Fraction | Decimal | int | None, places: int = 1) -> str:
    """`12.5 %` of the part 0.125."""
    if value is None or value == "":
        return NOTHING
    exact = Fraction(value)
    shown = Decimal(round(exact * 100 * 10**places)).scaleb(-places - 2)
    pattern = "#,##0." + "#" * places + "\N{NO-BREAK SPACE}%" if places else "#,##0\N{NO-BREAK SPACE}%"
    return format_percent(shown, pattern, locale=_locale(), decimal_quantization=False).replace("-", "\N{MINUS SIGN}")


@register.filter
def share(value: Fraction | int | str | None) -> str:
    """`1/3 (33.33 %)`: an exact part of one; unwieldy fractions are shown as a percentage alone."""
    if value is None or value == "":
        return NOTHING
    part = Fraction(value)
    if part.denominator == 1 or part.denominator > 9999:
        return percent(part, 2)
    return f"{part.numerator}/{part.denominator} ({percent(part, 2)})"


# --- moments --------------------------------------------------------------------------------------


@register.filter
def day(value: date | datetime | None) -> str:
    """`20 Mar 2026`; a moment is first put into the active time zone."""
    if not value:
        return NOTHING
    if isinstance(value, datetime):
        value = timezone.localtime(value).date() if timezone.is_aware(value) else value.date()
    return babel_dates.format_date(value, "medium", locale=_locale())


@register.filter
def clock(value: datetime | None) -> str:
    """`14:05` in the active time zone."""
    if not value:
        return NOTHING
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    return babel_dates.format_time(local.time(), "HH:mm", locale=_locale())


@register.filter
def moment(value: datetime | None) -> str:
    """`20 Mar 2026, 14:05` in the active time zone."""
    return f"{day(value)}, {clock(value)}" if value else NOTHING


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


def _steps(top: Decimal) -> Decimal:
    """The round number at or above the highest value: 1, 2, 2.5 or 5 times a power of ten."""
    if top <= 0:
        return Decimal(1)
    power = Decimal(10) ** top.adjusted()
    return next(power * step for step in map(Decimal, ("1", "2", "2.5", "4", "5", "10")) if power * step >= top)


def _curve(values: Sequence[Decimal], top: Decimal) -> str:
    """A smooth path through the points that never overshoots them (Steffen 1990, monotone cubic)."""
    ys = [float(100 - 100 * value / top) for value in values]
    width = 1000 / max(len(ys) - 1, 1)
    rises = [(after - before) / width for before, after in itertools.pairwise(ys)]
    slopes = [0.0] * len(ys)
    for i, (before, after) in enumerate(itertools.pairwise(rises), start=1):
        if before * after > 0:
            least = min(abs(before), abs(after), abs(before + after) / 4)
            slopes[i] = 2 * least if before > 0 else -2 * least
    path = f"M0,{ys[0]:.2f}"
    for i in range(len(ys) - 1):
        left, right = i * width, (i + 1) * width
        third = width / 3
        path += (
            f"C{left + third:.1f},{ys[i] + slopes[i] * third:.2f}"
            f" {right - third:.1f},{ys[i + 1] - slopes[i + 1] * third:.2f} {right:.1f},{ys[i + 1]:.2f}"
        )
    return path


def _plain(value: Money | Decimal | int | None) -> Decimal:
    return value.decimal if isinstance(value, Money) else Decimal(value or 0)


@register.inclusion_tag("portal/components/chart.html")
def area_chart(points: Iterable[dict], label: str) -> dict:
    """A trend over days.

    Each point is a dict: `label` (the day in words), `value` (Money, Decimal or int) and, to compare,
    `previous` of the same kind. The table below the picture says the same to those who do not see it.
    """
    rows = list(points)
    if not rows:
        return {"label": label, "rows": []}
    kind = next((row["value"] for row in rows if isinstance(row["value"], Money)), None)
    values = [_plain(row["value"]) for row in rows]
    past = [_plain(row.get("previous")) for row in rows] if rows[0].get("previous") is not None else []
    top = _steps(max([*values, *past]))

    def written(value: Decimal) -> str:
        return money(Money.parse(f"{value:f}", kind.currency)) if kind else number(value)

    def scale(value: Decimal) -> str:
        if not kind:
            return format_decimal(value, locale=_locale())
        places = max(0, -int(value.normalize().as_tuple().exponent))
        return _pattern(_locale(), places).apply(value, _locale(), currency=kind.currency, currency_digits=False)

    line = _curve(values, top)
    gaps = 4 if len(rows) > 4 else min(len(rows) - 1, 2)
    return {
        "label": label,
        "line": line,
        "area": f"{line}V100H0Z",
        "past": _curve(past, top) if past else "",
        "ticks": [scale(top), scale(top / 2), scale(Decimal(0))],
        "days": [rows[place * (len(rows) - 1) // max(gaps, 1)]["label"] for place in range(gaps + 1)],
        "rows": [
            {"label": row["label"], "value": written(value), "previous": written(past[i]) if past else ""}
            for i, (row, value) in enumerate(zip(rows, values, strict=True))
        ],
    }


@register.simple_tag
def sparkline(values: Iterable[Money | Decimal | int]) -> SafeString:
    """A small line without words, beside the number it leads to."""
    plain = [_plain(value) for value in values]
    if len(plain) < 2:
        return mark_safe("")
    line = _curve(plain, _steps(max(plain)))
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
