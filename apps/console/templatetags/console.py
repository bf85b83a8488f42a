"""The display functions as template filters."""

from django import template
from django.utils.translation import gettext as _

from apps.console import display

register = template.Library()
register.filter("moment", display.moment)
register.filter("exact_moment", display.exact_moment)
register.filter("day", display.day)
register.filter("money", display.money)
register.filter("amount", display.amount)
register.filter("number", display.count)
register.simple_tag(display.badge, name="badge")
register.simple_tag(display.share, name="share")


@register.filter
def state(obj: object) -> str:
    """Show the state of a row that has one, as colour and word."""
    return display.badge(obj.state, obj.get_state_display())


@register.filter
def yesno_word(value: object) -> str:
    return {True: _("yes"), False: _("no")}.get(value, _("not said"))


@register.inclusion_tag("console/copy.html")
def copy(text: object, label: str = "") -> dict:
    return {"text": text, "label": label or str(text)}
