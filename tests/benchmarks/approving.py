"""`approve`: conversions of a filter approved by a job, postings in the ledger, guards on."""

from datetime import timedelta

from apps.campaigns.models import Campaign
from apps.commissions.models import Decision, DecisionState, Move
from apps.commissions.selections import Selection
from apps.core.actors import SYSTEM
from apps.ledger.models import Posting, UnstatedPosting
from apps.pipeline.services.deciding import CHUNK, approve_conversions
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.deciding_jobs import ask_by_filter
from apps.pipeline.services.settling import settle_conversions
from apps.records.models import Job, JobState
from apps.tracking.partitions import make_partitions
from tests.benchmarks.framework import Report, analyze, benchmark, measure
from tests.benchmarks.settling import make_conversions, make_ground
from tests.cast import NOON

BITE = 10_000
LATER = NOON + timedelta(hours=1)


def make_pending(count: int, model: str) -> Campaign:
    """Return a campaign with so many settled conversions that nobody has decided."""
    campaign, enrollments = make_ground(model)
    for start in range(0, count, BITE):
        size = min(BITE, count - start)
        assert (
            settle_conversions(conversion_ids=make_conversions(campaign, enrollments, size), now=NOON).settled == size
        )
    analyze("commissions_decision", "commissions_commission", "commissions_receipt", "attribution_share")
    return campaign


def approve_by_filter(campaign: Campaign) -> None:
    asked = ask_by_filter(
        advertiser=campaign.advertiser,
        selection=Selection(states=(DecisionState.PENDING,), campaign_id=campaign.pk),
        state=DecisionState.APPROVED,
        actor=SYSTEM,
        key="bench",
        as_of=LATER,
        now=LATER,
    )
    work_on_decisions(now=LATER)
    assert Job.objects.get(pk=asked.job.pk).state == JobState.DONE


def approve_singly(campaign: Campaign, count: int) -> None:
    pending = Decision.objects.filter(campaign=campaign, state=DecisionState.PENDING).order_by("pk")
    for id_ in list(pending.values_list("pk", flat=True)[:count]):
        approve_conversions(advertiser=campaign.advertiser, conversion_ids=[id_], actor=SYSTEM, now=LATER)


@benchmark("approve")
def measure_approve(quick: bool) -> Report:
    """One partner wins each conversion, or four share it: then there are four postings each."""
    size, single = (5_000, 50) if quick else (100_000, 200)
    make_partitions(first_on=(NOON - timedelta(days=32)).date(), last_on=NOON.date())
    found = {}
    for name, model, count in (("one partner", "LAST_CLICK", size), ("four partners", "POSITION", size // 4)):
        campaign = make_pending(count, model)
        found[name] = (count, measure(lambda campaign=campaign: approve_by_filter(campaign)))
        moves = Move.objects.filter(advertiser=campaign.advertiser, state=DecisionState.APPROVED).count()
        posted = Posting.objects.filter(advertiser=campaign.advertiser).count()
        assert (moves, UnstatedPosting.objects.filter(advertiser=campaign.advertiser).count()) == (count, posted)
        assert posted >= count
    campaign = make_pending(single, "LAST_CLICK")
    found["one at a time"] = (single, measure(lambda: approve_singly(campaign, single)))
    speed = {name: count / measured.seconds for name, (count, measured) in found.items()}
    slowest = speed["one at a time"]
    return Report(
        figures={
            "seconds": round(found["one partner"][1].seconds * 100_000 / size, 2),
            "seconds_with_four_partners": round(found["four partners"][1].seconds * 100_000 / (size // 4), 2),
            "vs_one_at_a_time": round(speed["one partner"] / slowest, 1),
        },
        scale={"conversions": size, "chunk": CHUNK},
        columns=("approving", "conversions", "seconds", "CPU seconds", "conversions/s", "ratio"),
        rows=[
            (
                name,
                f"{count:,}",
                f"{one.seconds:.2f}",
                f"{one.cpu_seconds:.2f}",
                f"{speed[name]:,.0f}",
                f"{speed[name] / slowest:.1f} ×",
            )
            for name, (count, one) in found.items()
        ],
    )
