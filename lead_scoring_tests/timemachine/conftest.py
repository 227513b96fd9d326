"""Made-up histories that several tests read, each replayed once."""

import pytest

from lead_scoring_assets.timemachine.policies import CATALOGUE
from lead_scoring_assets.timemachine.recorded import Recorded, read_recorded
from lead_scoring_assets.timemachine.replay import Replay, replay
from lead_scoring_tests.timemachine.worlds import TRAINING_COST, settings_of, tables


@pytest.fixture(scope="session")
def turning() -> Recorded:
    """Two years in which the feature says the opposite from the eleventh month on."""
    return read_recorded(*tables(turns_in=10), settings_of())


@pytest.fixture(scope="session")
def steady() -> Recorded:
    """Two years in which nothing changes: the null world."""
    return read_recorded(*tables(), settings_of())


@pytest.fixture(scope="session")
def turning_replay(turning: Recorded) -> Replay:
    return replay(turning, CATALOGUE, TRAINING_COST)


@pytest.fixture(scope="session")
def steady_replay(steady: Recorded) -> Replay:
    return replay(steady, CATALOGUE, TRAINING_COST)
