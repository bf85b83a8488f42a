"""Files that show a claim: attached while it is open, fetched by whoever reported it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from apps.claims.models import Claim
from apps.claims.rules import (
    ENDINGS,
    MOST_EVIDENCE,
    MOST_EVIDENCE_BYTES,
    EvidenceEmpty,
    EvidenceFact,
    EvidenceTooLarge,
    TooMuchEvidence,
    read_evidence,
)
from apps.claims.selectors import evidence_of, stored_evidence
from apps.claims.services import attach_evidence
from apps.core.errors import NotFound, Refusal
from apps.core.transfers import attachment
from apps.portal.access import actor_of, partner_page

ACCEPT = ",".join(f".{ending}" for endings in ENDINGS.values() for ending in endings)
WRONG_FILE = {
    "empty": gettext_lazy("There is no file, or it is empty."),
    "too_large": gettext_lazy("A file has at most 5 MB."),
    "unknown_type": gettext_lazy("Files are PNG, JPEG, WebP, PDF, plain text or EML, told by their content."),
    "too_many": gettext_lazy("A claim has at most 5 files."),
    "evidence_erased": gettext_lazy("This file, or the data of the order's customer, was deleted: it is not taken."),
    "claim_closed": gettext_lazy("The claim is answered already."),
}


def read_files(request: HttpRequest) -> list[EvidenceFact]:
    """Read the files that a form carries; none is an empty list.

    Raises TooMuchEvidence, EvidenceTooLarge, EvidenceEmpty, EvidenceTypeUnknown.
    """
    files: list[UploadedFile] = request.FILES.getlist("evidence")
    if len(files) > MOST_EVIDENCE:
        raise TooMuchEvidence(path="evidence")
    if any((file.size or 0) > MOST_EVIDENCE_BYTES for file in files):
        raise EvidenceTooLarge(path="evidence")
    return [read_evidence(file.name or "", file.read()) for file in files]


def files_of(claim: Claim) -> list[dict[str, Any]]:
    """Return a claim's files as its partner sees them."""
    return [
        {
            "id": row.id,
            "name": row.name,
            "kind": ENDINGS[row.media_type][0].upper(),
            "size": row.size,
            "at": row.attached_at,
            "is_kept": row.erased_at is None,
        }
        for row in evidence_of(claim)
    ]


@require_POST
@partner_page
def attach(request: HttpRequest, claim_id: int) -> HttpResponse:
    try:
        files = read_files(request)
        if not files:
            raise EvidenceEmpty
        stored = attach_evidence(
            partner=request.partner, claim_id=claim_id, evidence=files, actor=actor_of(request), now=timezone.now()
        )
    except NotFound as refusal:
        raise Http404 from refusal
    except Refusal as refusal:
        messages.error(request, str(WRONG_FILE.get(refusal.code) or refusal.message))
    else:
        text = ngettext("%d file is attached.", "%d files are attached.", len(stored)) % len(stored)
        messages.success(request, text if stored else _("The claim has these files already."))
    return redirect("portal:claim", claim_id=claim_id)


@require_GET
@partner_page
def evidence(request: HttpRequest, claim_id: int, evidence_id: int) -> HttpResponse:
    """Send the stored bytes to be saved."""
    row = stored_evidence(claim_id=claim_id, evidence_id=evidence_id, partner=request.partner)
    if row is None:
        raise Http404
    return attachment(content=bytes(row.content), media_type=row.media_type, name=row.name)
