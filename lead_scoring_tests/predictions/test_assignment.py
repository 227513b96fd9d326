"""Leads dealt out to reps: nobody twice, nobody above capacity, and about the same to win for each."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.predictions.assignment import Assignment, QueuedLead, assign

REPS = ("aisha", "omar", "li")
Probabilities = st.lists(st.floats(0, 1), max_size=40).map(lambda found: sorted(found, reverse=True))
Owners = st.lists(st.sampled_from([None, *REPS, "somebody else"]), min_size=40, max_size=40)


def queue(probabilities: Sequence[float], owners: Sequence[str | None] = ()) -> list[QueuedLead]:
    owned = [*owners, *[None] * len(probabilities)]
    return [QueuedLead(f"l{i:02}", p, owned[i]) for i, p in enumerate(probabilities)]


def all_leads(found: Assignment) -> list[str]:
    return [lead for leads in found.lists.values() for lead in leads]


@given(Probabilities, Owners, st.integers(1, 15))
def test_every_lead_is_on_one_list_or_counted(found: list[float], owners: list[str | None], capacity: int) -> None:
    leads = queue(found, owners)
    dealt = assign(leads, REPS, capacity)
    on_lists = all_leads(dealt)
    assert len(set(on_lists)) == len(on_lists)
    assert len(on_lists) + dealt.owned_elsewhere + dealt.beyond_capacity == len(leads)
    owner = {lead.lead_id: lead.owner for lead in leads}
    for rep, listed in dealt.lists.items():
        assert len(listed) <= capacity
        assert list(listed) == sorted(listed)  # the order of the queue is that of the names
        assert {owner[lead] for lead in listed} <= {None, rep}
    assert dealt.owned_elsewhere == sum(lead.owner == "somebody else" for lead in leads)


@given(Probabilities, st.integers(1, 15))
def test_leads_that_nobody_owns_are_shared_fairly(found: list[float], capacity: int) -> None:
    dealt = assign(queue(found), REPS, capacity)
    lengths = [len(listed) for listed in dealt.lists.values()]
    assert max(lengths) - min(lengths) <= 1
    assert sum(lengths) == min(len(found), 3 * capacity)
    best = max(found, default=0.0)
    assert max(dealt.expected.values()) - min(dealt.expected.values()) <= best + 1e-9
    # Of full rounds, no more than the spread of the probabilities.
    if found and len(found) % 3 == 0 and len(found) <= 3 * capacity:
        assert max(dealt.expected.values()) - min(dealt.expected.values()) <= found[0] - found[-1] + 1e-9


@given(Probabilities, st.integers(1, 15))
def test_the_best_are_called_and_nobody_better_is_left_out(found: list[float], capacity: int) -> None:
    called = sorted(all_leads(assign(queue(found), REPS, capacity)))
    assert called == [f"l{i:02}" for i in range(len(called))]


def test_it_goes_to_and_fro_as_in_a_snake_draft() -> None:
    dealt = assign(queue([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), REPS, 5)
    assert dealt.lists == {"aisha": ("l00", "l05"), "omar": ("l01", "l04"), "li": ("l02", "l03")}
    assert dealt.expected == pytest.approx(dict.fromkeys(REPS, 1.3))


def test_an_own_lead_stays_and_takes_a_place() -> None:
    dealt = assign(queue([0.9, 0.8, 0.7, 0.6], ["li", "li", "li", None]), REPS, 2)
    assert dealt.lists == {"aisha": ("l03",), "omar": (), "li": ("l00", "l01")}
    assert dealt.beyond_capacity == 1


@pytest.mark.parametrize(("reps", "capacity"), [([], 3), (["a", "a"], 3), (["a"], 0)])
def test_reps_and_capacity_must_make_sense(reps: list[str], capacity: int) -> None:
    with pytest.raises(LeadScoringError, match="expected different reps"):
        assign([], reps, capacity)
