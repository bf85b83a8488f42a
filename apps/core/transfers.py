"""Files that people send and fetch: how much a request may carry, and how a foreign file is handed out."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

# Whatever opens it all the same runs nothing, loads nothing and has no origin.
INERT = "sandbox; default-src 'none'; frame-ancestors 'none'"


def limit_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer 413 to what is larger than REQUEST_MAX_BYTES before anything of it is read."""

    def limited(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > settings.REQUEST_MAX_BYTES:
            text = _("too_large: this is more than 32 MB at once. Go back and send less.")
            return HttpResponse(text, status=413, content_type="text/plain; charset=utf-8")
        return get_response(request)

    return limited


def attachment(*, content: bytes, media_type: str, name: str) -> HttpResponse:
    """Hand out a foreign file to be saved, never to be shown in this house's name."""
    kind = f"{media_type}; charset=utf-8" if media_type == "text/plain" else media_type
    headers = {
        "Content-Disposition": content_disposition_header(True, name) or "attachment",
        "Content-Security-Policy": INERT,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(content, content_type=kind, headers=headers)
