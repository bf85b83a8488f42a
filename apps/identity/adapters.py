"""How allauth fits this house."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by invitation, the first-run command or a partner's application, not by a sign-up form."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
