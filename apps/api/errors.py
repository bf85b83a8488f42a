"""The three kinds of refusal as HTTP answers; every body has `type`, `errors[].code`, `.detail` and `.attr`."""

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found
from drf_standardized_errors.handler import exception_handler
from rest_framework.response import Response

from apps.core.errors import Conflict, Invalid, NotFound, Refusal
from apps.core.reading import DATABASE_AWAY

AGAIN = "The database is away or busy. Send the same call again; with its key it has one effect."
logger = logging.getLogger(__name__)
STATUS = {NotFound: 404, Conflict: 409, Invalid: 422}


def status_of(refusal: Refusal) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(refusal, kind)), 400)


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer a refusal in the shape of drf-standardized-errors; leave the rest to it."""
    if isinstance(exc, Refusal):
        error = {"code": exc.code, "detail": exc.message, "attr": exc.path or None}
        kind = "validation_error" if isinstance(exc, Invalid) else "client_error"
        return Response({"type": kind, "errors": [error]}, status=status_of(exc))
    if isinstance(exc, DATABASE_AWAY):
        logger.error("a call is not known to be done: the database is away or busy", exc_info=exc)
        error = {"code": "unavailable", "detail": AGAIN, "attr": None}
        return Response({"type": "server_error", "errors": [error]}, status=503, headers={"Retry-After": "5"})
    return exception_handler(exc, context)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that leads nowhere: below /api/ as the API does, elsewhere with the house's page."""
    if not request.path.startswith("/api/"):
        return page_not_found(request, exception)
    error = {"code": "not_found", "detail": "There is nothing at this address.", "attr": None}
    return JsonResponse({"type": "client_error", "errors": [error]}, status=404)
