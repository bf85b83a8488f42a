"""Files that show a claim: everybody of the team fetches them, an owner deletes one for good."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.claims.selectors import stored_evidence
from apps.claims.services import remove_evidence
from apps.console.access import EVERYBODY, OWNERS, access_of, actor_of, may
from apps.console.site import site
from apps.core.errors import NotFound
from apps.core.transfers import attachment


@site.page("claims/<int:claim_id>/evidence/<int:evidence_id>/", "claim_evidence")
def evidence(request: HttpRequest, claim_id: int, evidence_id: int) -> HttpResponse:
    """Send the stored bytes to be saved."""
    if not may(request, EVERYBODY):
        raise PermissionDenied
    row = stored_evidence(claim_id=claim_id, evidence_id=evidence_id, advertiser=access_of(request).advertiser)
    if row is None:
        raise Http404
    return attachment(content=bytes(row.content), media_type=row.media_type, name=row.name)


@site.page("claims/<int:claim_id>/evidence/<int:evidence_id>/remove/", "claim_evidence_remove")
def remove(request: HttpRequest, claim_id: int, evidence_id: int) -> HttpResponse:
    if not may(request, OWNERS) or request.method != "POST":
        raise PermissionDenied
    try:
        remove_evidence(
            advertiser=access_of(request).advertiser,
            claim_id=claim_id,
            evidence_id=evidence_id,
            actor=actor_of(request),
            now=timezone.now(),
        )
    except NotFound as refusal:
        raise Http404(refusal.message) from None
    messages.success(request, _("The file is deleted for good."))
    return HttpResponseRedirect(reverse("admin:claims_claim_change", args=[claim_id]))
