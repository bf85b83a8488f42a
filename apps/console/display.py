"""How values look: money, shares, moments and states, the same on every page."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from apps.core.money import digits

DASH = mark_safe('<span class="tb-none" aria-hidden="true">–</span>')
NO_NUMBER = mark_safe('<span class="tb-num tb-none">–</span>')
# State → (tone, icon). The word itself comes from the model's choices.
TONES = {
    "PENDING": ("warn", "schedule"),
    "APPLIED": ("warn", "schedule"),
    "ON_HOLD": ("hold", "pause_circle"),
    "PAUSED": ("hold", "pause_circle"),
    "APPROVED": ("good", "check_circle"),
    "ACTIVE": ("good", "check_circle"),
    "RUNNING": ("good", "play_circle"),
    "SETTLED": ("good", "check_circle"),
    "LOCKED": ("good", "lock"),
    "REJECTED": ("bad", "cancel"),
    "BLOCKED": ("bad", "block"),
    "ENDED": ("idle", "stop_circle"),
    "DRAFT": ("idle", "edit_note"),
    "TEST": ("idle", "science"),
    "DUPLICATE": ("idle", "content_copy"),
    "NEW": ("idle", "hourglass_top"),
    "PARKED": ("bad", "error"),
}


def amount(minor: int | None, currency: str) -> str:
    """Return an amount of minor units as people of the present language write it, with its currency."""
    if minor is None:
        return "–"
    places = digits(currency)
    text = number_format(Decimal(abs(minor)).scaleb(-places), decimal_pos=places, use_l10n=True, force_grouping=True)
    return f"{'−' if minor < 0 else ''}{text} {currency}"


def money(minor: int | None, currency: str) -> SafeString:
    if minor is None:
        return NO_NUMBER
    return format_html('<span class="tb-num{}">{}</span>', " tb-negative" if minor < 0 else "", amount(minor, currency))


def count(value: int | None) -> SafeString:
    if value is None:
        return NO_NUMBER
    return format_html('<span class="tb-num">{}</span>', number_format(value, use_l10n=True, force_grouping=True))


def percent(part: int, whole: int, places: int = 2) -> str:
    """Return a part of a whole in per cent, or a dash where there is no whole."""
    if not whole:
        return "–"
    exact = Fraction(part * 100, whole)
    value = Decimal(exact.numerator) / Decimal(exact.denominator)
    return number_format(round(value, places), decimal_pos=places, use_l10n=True) + " %"


def share(numerator: object, denominator: object) -> str:
    """Return a share as a reduced fraction with its rounded percentage: `1/3 (33.3 %)`."""
    exact = Fraction(int(numerator), int(denominator))
    if exact == 1:
        return "1 (100 %)"
    per_cent = round(Decimal(exact.numerator * 100) / Decimal(exact.denominator), 1)
    short = f"{exact.numerator}/{exact.denominator}"
    return f"{short if len(short) < 12 else '…'} ({number_format(per_cent, decimal_pos=1)} %)"


def part(numerator: object, denominator: object) -> str:
    """Return a share as shortly as it can be said: nothing for the whole, `1/3`, or `38.5 %` where digits are many."""
    exact = Fraction(int(numerator), int(denominator))
    if exact == 1:
        return ""
    if exact.denominator < 100:
        return f"{exact.numerator}/{exact.denominator}"
    return f"{number_format(round(Decimal(exact.numerator * 100) / Decimal(exact.denominator), 1), decimal_pos=1)} %"


def badge(state: str, word: object, *, icon: str = "") -> SafeString:
    tone, symbol = TONES.get(state, ("idle", "circle"))
    return format_html(
        '<span class="tb-badge tb-{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        tone,
        icon or symbol,
        word,
    )


def moment(at: datetime | None, *, exact: bool = False) -> SafeString:
    """Return a moment in the current time zone, to the minute or second, for machines with its offset."""
    if at is None:
        return DASH
    local = timezone.localtime(at)
    text = (
        f"{date_format(local, 'j M Y')}, {local:%H:%M:%S}" if exact else f"{date_format(local, 'j M Y')}, {local:%H:%M}"
    )
    return format_html('<time datetime="{}" class="tb-time">{}</time>', local.isoformat(timespec="seconds"), text)


def exact_moment(at: datetime | None) -> SafeString:
    return moment(at, exact=True)


def day(on: date | None) -> SafeString:
    if on is None:
        return DASH
    return format_html('<time datetime="{}" class="tb-time">{}</time>', on.isoformat(), date_format(on, "j M Y"))


def short_moment(at: datetime) -> SafeString:
    """Return a moment for a narrow column: without the year in the present one; all of it on demand."""
    local = timezone.localtime(at)
    told = date_format(local, "j M" if local.year == timezone.localdate().year else "j M Y")
    words = local.isoformat(timespec="seconds"), date_format(local, "j M Y"), told, f"{local:%H:%M}"
    return format_html('<time datetime="{0}" title="{1}, {3}" class="tb-time">{2}, {3}</time>', *words)


def short_day(on: date) -> SafeString:
    """Return a day for a narrow column: without the year in the present one; all of it on demand."""
    told = date_format(on, "j M" if on.year == timezone.localdate().year else "j M Y")
    return format_html(
        '<time datetime="{0}" title="{1}" class="tb-time">{2}</time>', on.isoformat(), date_format(on, "j M Y"), told
    )


def cut(text: object) -> SafeString:
    """Return a name in one line; one that is too long for its column is cut on the screen, not in the text."""
    return format_html('<span class="tb-cut" title="{0}">{0}</span>', text)


def link(url: str, text: object) -> SafeString:
    return format_html('<a class="tb-link" href="{}">{}</a>', url, text)


def number(text: object) -> SafeString:
    """Return an order or document number in one line; a very long one is cut on the screen, not in the text."""
    return format_html('<span class="tb-id" title="{0}">{0}</span>', text)


def code(text: object) -> SafeString:
    return format_html('<code class="tb-code">{}</code>', text)


def age(since: datetime | None, now: datetime) -> str:
    """Say how long ago a moment was, in the largest fitting unit."""
    if since is None:
        return _("never")
    seconds = int((now - since).total_seconds())
    if seconds < 60:
        return _("just now")
    for size, word in ((86400, _("%d d ago")), (3600, _("%d h ago")), (60, _("%d min ago"))):
        if seconds >= size:
            return word % (seconds // size)
    return _("just now")
