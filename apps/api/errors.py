"""The three kinds of refusal as HTTP answers; every body has `type`, `errors[].code`, `.detail` and `.attr`."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found
from drf_standardized_errors.handler import exception_handler
from rest_framework.response import Response

from apps.core.errors import Conflict, Invalid, NotFound, Refusal

STATUS = {NotFound: 404, Conflict: 409, Invalid: 422}


def status_of(refusal: Refusal) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(refusal, kind)), 400)


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer a refusal in the shape of drf-standardized-errors; leave the rest to it."""
    if isinstance(exc, Refusal):
        error = {"code": exc.code, "detail": exc.message, "attr": exc.path or None}
        kind = "validation_error" if isinstance(exc, Invalid) else "client_error"
        return Response({"type": kind, "errors": [error]}, status=status_of(exc))
    return exception_handler(exc, context)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that leads nowhere: below /api/ as the API does, elsewhere with the house's page."""
    if not request.path.startswith("/api/"):
        return page_not_found(request, exception)
    error = {"code": "not_found", "detail": "There is nothing at this address.", "attr": None}
    return JsonResponse({"type": "client_error", "errors": [error]}, status=404)
