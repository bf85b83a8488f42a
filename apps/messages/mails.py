"""E-mail: a template in the receiver's language, or the way in for somebody invited."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation

from apps.identity.invitations import password_link
from apps.identity.models import User
from apps.messages.kinds import delivers
from apps.messages.models import Outbox

MAIL, INVITATION = "mail", "invitation"


@delivers(MAIL)
def deliver_mail(message: Outbox) -> None:
    """Render `payload.template` (subject and text) with `payload.context` and send it."""
    _send(message, message.payload["template"], message.payload.get("context", {}))


@delivers(INVITATION)
def deliver_invitation(message: Outbox) -> None:
    """Send somebody who has no password yet the link that sets one; it is made now and stands nowhere else."""
    user = User.objects.get(pk=message.payload["user"])
    if not user.has_usable_password():
        _send(message, "invitation", {"link": password_link(user), "host": message.payload["host"]})


def _send(message: Outbox, template: str, context: dict[str, object]) -> None:
    with translation.override(message.payload.get("language", "en")):
        told = {**context, "public_url": settings.PUBLIC_URL}
        subject = " ".join(render_to_string(f"messages/{template}_subject.txt", told).split())
        text = render_to_string(f"messages/{template}.txt", told).strip() + "\n"
    host = settings.PUBLIC_URL.partition("://")[2].partition("/")[0].partition(":")[0] or "localhost"
    EmailMessage(subject, text, to=[message.address], headers={"Message-ID": f"<{message.uid}@{host}>"}).send()
