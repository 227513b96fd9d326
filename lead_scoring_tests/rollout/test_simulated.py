"""The guards in simulated traffic: what is planted is found at once, and where nothing is wrong nothing is taken back."""

import pytest

from lead_scoring_tests.rollout.traffic_worlds import Looked, Model, World

FAILING, SLOW, SELLS_LESS = Model(error_rate=0.10), Model(median_ms=80.0), Model(conversion_rate=0.05)
RUNS = 60


def first_at(looked: list[Looked], step: int) -> int:
    """The number of the first look at which the rollout had that step."""
    return next(i for i, look in enumerate(looked) if look.rollout.step == step)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize(("fault", "name"), [(FAILING, "errors"), (SLOW, "latency")])
def test_a_model_that_fails_or_is_slow_is_taken_back_at_once(fault: Model, name: str, step: int) -> None:
    """As soon as there are enough answers to tell: 200, which 5 % of the leads bring in eight looks here."""
    for seed in range(3):
        looked = World(seed, fault, step).run()
        assert looked[-1].rollout.state == "rolled_back"
        assert looked[-1].reason.startswith(f"{name}:")
        assert looked[-1].rollout.step == step
        begins = 0 if step == 1 else first_at(looked, step) + 1
        enough = {1: 9, 2: 6, 3: 2, 4: 2}[step]
        assert len(looked) - begins <= enough


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_model_whose_leads_convert_less_is_taken_back(step: int) -> None:
    """Known only once leads have matured: until then it is held at 50 %, whatever the calendar says. One that was as good as
    the champion at 5 and 10 % may take over before it is known, and is taken back then."""
    for seed in range(5):
        looked = World(seed, SELLS_LESS, step).run()
        assert looked[-1].rollout.state == "rolled_back"
        assert looked[-1].reason.startswith("conversions:")
        assert any(look.rollout.state == "held" for look in looked)
        assert step == 3 or max(look.rollout.share_bp for look in looked) == 5_000


def test_where_nothing_is_wrong_nothing_is_taken_back() -> None:
    """Two equal models, looked at every four hours for eleven days. Of 500 such worlds 2 were taken back (0.4 %, interval
    0.1 to 1.4 %), both by chance among matured conversions."""
    ends = [World(seed).run()[-1].rollout.state for seed in range(1_000, 1_000 + RUNS)]
    assert ends.count("done") >= RUNS - 3  # at 1.4 % more than three have a probability of 1 %
