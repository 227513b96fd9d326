"""How far a rollout has come, in a home: in the canary, at half of the leads, live."""

from datetime import timedelta

from lead_scoring_assets.lots import lot
from lead_scoring_assets.rollout import conducting, looking
from lead_scoring_assets.rollout.states import Step
from lead_scoring_tests.rollout.homes import DAY, RolloutHome

WINDOW = 30 * DAY


def look(home: RolloutHome) -> Step:
    step = looking.look(home.house, "a look")
    assert isinstance(step, Step), step
    assert list(home.deployments().lifecycle().stages.values()).count("production") == 1
    return step


def to_the_canary(home: RolloutHome) -> None:
    """Shadow for 14 days, then 5 %."""
    assert look(home).next.state == "shadow"
    home.shadows(2, 250)
    home.now += 14 * DAY
    assert look(home).next.share_bp == 500


def to_half(home: RolloutHome) -> list[str]:
    """On to 50 %; the leads that were answered at that share."""
    to_the_canary(home)
    for share, n in ((1_000, 4_600), (5_000, 2_600)):
        home.answers(n, home.rollout)
        home.now += DAY
        assert look(home).next.share_bp == share
    return home.answers(600, home.rollout, first=10_000)


def to_the_top(home: RolloutHome) -> None:
    """Matured, approved, live."""
    answered = to_half(home)
    home.now += 2 * DAY
    assert look(home).next.state == "held"
    home.now += WINDOW
    home.labels(home.now, [(lead, int(lot("outcome", lead) < 1_250)) for lead in answered])
    home.now += timedelta(days=1)
    assert look(home).next.state == "waiting_for_approval"
    conducting.approve(home.house, "lina", "looked at the comparison")
    step = look(home)
    assert (step.effect, home.live(), home.rollout.state) == ("go_live", 2, "watching")
