"""Who calls whom: the queue dealt out to reps, so that each has about the same to win. A pure function of the queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lead_scoring_assets.errors import LeadScoringError


@dataclass(frozen=True)
class QueuedLead:
    """A lead in the order of the queue. `owner`: the rep who works it already, None when nobody does."""

    lead_id: str
    probability: float
    owner: str | None = None


@dataclass
class _Hand:
    rep: str
    leads: list[str] = field(default_factory=list)
    expected: float = 0.0


@dataclass(frozen=True)
class Assignment:
    """Each rep's leads in the order in which to call them, and why others are on no list.

    `owned_elsewhere`: leads of reps who are not among those asked for. `beyond_capacity`: everything else that is left.
    """

    lists: Mapping[str, Sequence[str]]
    expected: Mapping[str, float]
    owned_elsewhere: int
    beyond_capacity: int


def assign(queue: Sequence[QueuedLead], reps: Sequence[str], capacity: int) -> Assignment:
    """Deal `queue` (best first) to `reps`, at most `capacity` leads each.

    A lead that a rep owns is that rep's, or nobody's. Any other goes to the rep with the fewest leads, among those to the
    one with the least expected conversions, among those to the one named first: as in a snake draft, nobody's list is
    more than one lead longer, and what lists promise differs by no more than one lead's probability does. Own leads come
    in between, at their place in the queue, so that a list is never filled with a rep's own hopeless ones.

    Raises:
        LeadScoringError: no reps, one named twice, or a capacity below 1.
    """
    if not reps or len(set(reps)) < len(reps) or capacity < 1:
        raise LeadScoringError(
            f"expected different reps and a capacity of at least 1, found {list(reps)} and {capacity}. Name each rep once."
        )
    hands = {rep: _Hand(rep) for rep in reps}
    order = {rep: place for place, rep in enumerate(reps)}
    elsewhere = beyond = 0
    for lead in queue:
        if lead.owner is not None and lead.owner not in hands:
            elsewhere += 1
            continue
        takers = hands.values() if lead.owner is None else (hands[lead.owner],)
        free = [hand for hand in takers if len(hand.leads) < capacity]
        if not free:
            beyond += 1
            continue
        taker = min(free, key=lambda hand: (len(hand.leads), hand.expected, order[hand.rep]))
        taker.leads.append(lead.lead_id)
        taker.expected += lead.probability
    return Assignment(
        {rep: tuple(hand.leads) for rep, hand in hands.items()},
        {rep: hand.expected for rep, hand in hands.items()},
        elsewhere,
        beyond,
    )
