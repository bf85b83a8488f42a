"""How a person who was invited gets in: by a link that sets the first password."""

from __future__ import annotations

from smtplib import SMTPException

from allauth.account.adapter import get_adapter
from allauth.account.app_settings import PASSWORD_RESET_TOKEN_GENERATOR
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.urls import reverse

from apps.identity.models import User


def password_link(user: User) -> str:
    """Return the address at which the person sets a password, once and within the time of such links."""
    key = PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(user), "key": key})
    return f"{settings.PUBLIC_URL}{path}"


def mail_invitation(*, user: User, host: str, link: str) -> bool:
    """Send a person the way in; return whether the mail server took it."""
    try:
        get_adapter().send_mail("account/email/invitation", user.email, {"user": user, "host": host, "link": link})
    except (OSError, SMTPException):
        return False
    return True
