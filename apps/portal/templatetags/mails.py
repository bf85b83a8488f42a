"""What the pages of signing in say about mails."""

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def mails_are_logged() -> bool:
    """Tell whether mails end in the log, as in a demo, instead of leaving."""
    return settings.EMAIL_BACKEND == "django.core.mail.backends.console.EmailBackend"
