"""What is known of a claimed order: credited to whom, decided how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from django.db.models import Count

from apps.attribution.models import Share
from apps.campaigns.models import Campaign, EnrollmentPeriod
from apps.claims.models import Claim, ClaimState, ClaimTerms, Evidence
from apps.claims.rules import Joined
from apps.commissions.models import Decision, DecisionState
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.tracking.models import Conversion


@dataclass(frozen=True, slots=True)
class Credit:
    partner: Partner
    share: Fraction


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a claim without its bytes; `size` in bytes. A deleted one has no name."""

    id: int
    name: str
    media_type: str
    size: int
    attached_at: datetime
    attached_by: str
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the platform knows of an order; names are for the advertiser's people only."""

    conversion: Conversion | None = None
    decision: Decision | None = None
    credits: Sequence[Credit] = ()
    claimed_by: frozenset[int] = frozenset()
    """Ids of the partners whose claims for the order were accepted."""
    first: Conversion | None = None
    """The order's first telling, where it was told a second time."""

    def part_of(self, partner_id: int) -> Fraction:
        return sum((row.share for row in self.credits if row.partner.pk == partner_id), Fraction(0))

    def claimed_by_others(self, partner_id: int) -> list[Credit]:
        """Return what others have of the order by claims that were accepted."""
        return [row for row in self.credits if row.partner.pk != partner_id and row.partner.pk in self.claimed_by]

    def is_credited_to_others(self, partner_id: int) -> bool:
        return any(row.partner.pk != partner_id for row in self.credits)


def standing_of(claim: Claim) -> Standing:
    """Return how the claimed order stands: the one that acceptance wrote or changed, else the one it would.

    A rejected order that was told a second time stands as that. At most eleven queries.
    """
    if claim.conversion_id is not None:
        return standing_of_conversion(claim.conversion_id)
    return standing_of_order(advertiser_id=claim.advertiser_id, goal=claim.goal, order_ref=claim.order_ref)


def standing_of_order(*, advertiser_id: int, goal: str, order_ref: str) -> Standing:
    """Return how an order stands, of one that was rejected and told a second time as that. At most ten queries."""
    first = _standing(advertiser=advertiser_id, goal=goal, order_ref=order_ref)
    if first.decision is None or first.decision.state != DecisionState.REJECTED:
        return first
    again = Conversion.objects.filter(repeat_of__original=first.conversion).values_list("pk", flat=True).first()
    return standing_of_conversion(again) if again else first


def standing_of_conversion(conversion_id: UUID) -> Standing:
    """Return how a conversion stands now. Five queries."""
    return _standing(pk=conversion_id)


def _standing(**named: object) -> Standing:
    conversion = Conversion.objects.filter(**named).select_related("campaign", "decision").first()
    if conversion is None:
        return Standing()
    accepted = Claim.objects.filter(state=ClaimState.ACCEPTED, conversion=conversion)
    shares = Share.objects.filter(conversion=conversion, partner__isnull=False).select_related("partner")
    return Standing(
        conversion,
        getattr(conversion, "decision", None),
        [Credit(row.partner, Fraction(int(row.numerator), int(row.denominator))) for row in shares.order_by("pk")],
        frozenset(accepted.values_list("partner_id", flat=True)),
        Conversion.objects.filter(repeats__conversion=conversion).only("order_ref").first(),
    )


def terms_of(advertiser: Advertiser) -> ClaimTerms:
    """Return the advertiser's clock, or the usual one."""
    return ClaimTerms.objects.filter(advertiser=advertiser).first() or ClaimTerms(advertiser=advertiser)


def joined_by(partner: Partner) -> list[Joined]:
    """Return the campaigns that a partner is or was in, by name."""
    campaigns = Campaign.objects.filter(
        pk__in=EnrollmentPeriod.objects.filter(enrollment__partner=partner).values("enrollment__campaign")
    ).select_related("advertiser")
    return [
        Joined(row.pk, (row.slug.casefold(), row.name.casefold()), tuple(row.currencies), row.advertiser.zone)
        for row in campaigns.order_by("name", "pk")
    ]


def counts_by_state(*, advertiser: Advertiser | None = None, partner: Partner | None = None) -> dict[str, int]:
    """Return how many claims stand where, of an advertiser or of a partner."""
    rows = Claim.objects.for_advertiser(advertiser) if advertiser else Claim.objects.for_partner(partner)
    found = dict(rows.order_by().values_list("state").annotate(n=Count("pk")))
    return {state: found.get(state, 0) for state in ClaimState.values}


def evidence_of(claim: Claim) -> list[Attached]:
    """Return the files of a claim in the order they came, also those that are deleted; no bytes are read."""
    fields = ("pk", "name", "media_type", "size", "attached_at", "attached_by", "erased_at")
    return [Attached(*row) for row in claim.evidence.order_by("pk").values_list(*fields)]


def stored_evidence(
    *, claim_id: int, evidence_id: int, advertiser: Advertiser | None = None, partner: Partner | None = None
) -> Evidence | None:
    """Return a file with its bytes, of an advertiser's or a partner's claim, unless it is deleted."""
    rows = Evidence.objects.for_advertiser(advertiser) if advertiser else Evidence.objects.for_partner(partner)
    return rows.kept().filter(claim_id=claim_id, pk=evidence_id).first()
