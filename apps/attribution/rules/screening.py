"""Which touches count: time, window, freeze, eligibility, soft clicks, unpaid `IGNORE`; and the roles on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter

from apps.attribution.rules.facts import Touch, party, whole_second
from apps.attribution.rules.policy import Policy
from apps.attribution.rules.result import Roles

JOURNEY_LIMIT = 200
in_time = attrgetter("at", "id")


def screen(touches: Iterable[Touch], occurred_at: datetime, policy: Policy) -> tuple[list[Touch], list[str | None]]:
    """Return the journey in its total order (time, id), and for each touch why it does not count (None: it does).

    Order and `after_conversion`, `after_freeze` compare exact moments; windows and ages compare whole UTC seconds:

        click 30 d 0 h 0 m 0 s before, window 30 days    counts
        click 30 d 0 h 0 m 1 s before                    outside_window

    A `GOAL` is always `goal`, whatever else is wrong with it, and starts the freeze also outside the click window.
    Of more than 200 other touches before the conversion the older ones are `too_many`.
    """
    journey = sorted(touches, key=in_time)
    now = whole_second(occurred_at)
    frozen_at = freeze_start(journey, occurred_at, policy) if policy.freeze is not None else None
    click_window, view_window = policy.click_window_days * 86400, policy.view_window_days * 86400
    windows = policy.windows
    reasons: list[str | None] = []
    soft = False
    for touch in journey:
        kind, at = touch.kind, touch.at
        if kind == "GOAL":
            reason: str | None = "goal"
        elif at > occurred_at:
            reason = "after_conversion"
        else:
            age = now - whole_second(at)
            if kind == "VIEW":
                within = view_window > 0 and age <= view_window
            else:
                within = age <= (windows.get(touch.channel, click_window) if windows else click_window)
                soft = soft or kind == "SOFT_CLICK"
            if not within:
                reason = "outside_window"
            elif frozen_at is not None and at > frozen_at:
                reason = "after_freeze"
            else:
                reason = touch.refusal
        reasons.append(reason)
    if len(journey) > JOURNEY_LIMIT:
        drop_oldest(reasons)
    if soft and policy.soft_click_hours:
        drop_soft_clicks(journey, reasons, policy.soft_click_hours * 3600)
    if policy.unpaid == "IGNORE":
        for place, touch in enumerate(journey):
            if touch.partner is None and reasons[place] is None:
                reasons[place] = "unpaid_channel"
    return journey, reasons


def freeze_start(journey: Sequence[Touch], occurred_at: datetime, policy: Policy) -> datetime | None:
    """Return the moment of the earliest goal that freezes this journey, if any."""
    freeze = policy.freeze
    if freeze is None:
        return None
    since = whole_second(occurred_at) - freeze.hours * 3600
    for touch in journey:
        begins = touch.kind == "GOAL" and touch.goal == freeze.goal and touch.at <= occurred_at
        if begins and whole_second(touch.at) >= since:
            return touch.at
    return None


def drop_oldest(reasons: list[str | None]) -> None:
    """Leave the latest 200 touches before the conversion (goals not counted), the older ones are `too_many`."""
    before = [place for place, reason in enumerate(reasons) if reason not in ("goal", "after_conversion")]
    for place in before[:-JOURNEY_LIMIT]:
        reasons[place] = "too_many"


def drop_soft_clicks(journey: Sequence[Touch], reasons: list[str | None], protection: int) -> None:
    """Drop each soft click that follows another partner's click by less than the protection, in seconds.

        click A 23 h ago, soft click B now → B is dropped
        click A 30 h ago, soft click B now → B stays

    A click without a partner protects nobody: it is no other partner's.
    """
    kept = [(place, touch) for place, touch in enumerate(journey) if reasons[place] is None]
    clicks = [(whole_second(t.at), t.partner) for _, t in kept if t.kind == "CLICK" and t.partner is not None]
    for place, touch in kept:
        if touch.kind == "SOFT_CLICK":
            at = whole_second(touch.at)
            if any(partner != touch.partner and 0 <= at - click < protection for click, partner in clicks):
                reasons[place] = "soft_click"


def report_roles(touches: Sequence[Touch], single_touch_role: str) -> Roles:
    """Return initiator, assists, closer, and how many touches and distinct partners there are.

        A, A, B, A → touches 4, partners 2, initiator A, closer A, assists A and B

    A single touch is initiator and closer, or with the setting `CLOSER` the closer only.
    """
    if not touches:
        return Roles()
    partners = [touch.partner for touch in touches]
    parties = [party(touch) for touch in touches] if None in partners else partners
    paid = len({partner for partner in partners if partner is not None})
    only_closer = len(parties) == 1 and single_touch_role == "CLOSER"
    return Roles(
        initiator=None if only_closer else parties[0],
        assists=tuple(dict.fromkeys(parties[1:-1])),
        closer=parties[-1],
        touches=len(parties),
        partners=paid,
    )
