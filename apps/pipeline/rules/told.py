"""The attribution that a compact receipt tells of, so that an order is rated again without asking who it belongs to.

Who a conversion belongs to hangs on things of that day that no version keeps, such as the owner of a code. The receipt
says what came of them; what is rated later rests on that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.attribution.rules import Attribution, Roles, Touch, Winner


def attribution_told(stored: Mapping[str, Any], touches: Mapping[str, Touch], *, budget_neutral: bool) -> Attribution:
    """Return the attribution of a compact receipt, as far as rating asks; `touches` are those still there, by id.

    Winners have the plan that rated them, and their last kept touch where it is there. Under a budget-neutral policy
    one plan rates all of them; where that plan asks of the winner, only the policy can say who it asked.
    """
    initiator, assists, closer, touch_count, partner_count = stored["roles"]
    roles = Roles(initiator, tuple(assists), closer, touch_count, partner_count)
    kept = [touches[touch[0]] for touch in stored["touches"] if len(touch) == 1 and touch[0] in touches]
    last = {touch.partner: place for place, touch in enumerate(kept)}
    names = [winner[0] for winner in stored["winners"]]
    by_code = [name for name in names if name not in last]
    nearest = by_code + sorted((name for name in names if name in last), key=last.__getitem__, reverse=True)
    winners = tuple(
        Winner(
            partner=name,
            numerator=numerator,
            rank=nearest.index(name),
            touch=kept[last[name]] if name in last else None,
            roles=roles.of(name),
            plan=plan,
        )
        for name, numerator, _, _, plan, _ in stored["winners"]
    )
    return Attribution(
        journey=(),
        reasons=(),
        winners=winners,
        unpaid=stored["unpaid"][0],
        denominator=stored["den"],
        roles=roles,
        flags=(),
        last_click=winners[0] if budget_neutral and winners else None,
    )
