"""What `lead-scoring status` says where little is known: what cannot be told is no "no", and a clock that went back is named."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.overview import overview
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome


@pytest.fixture
def house(make_home: MakeHome) -> Installation:
    """A champion, a decision at the end of August, and nothing measured."""
    house = Installation(Home(make_home("told")))
    decided = datetime(2008, 9, 1, tzinfo=UTC)
    row = {"period": "2008-08", "decided_at": decided, "verdict": "rejected", "reason": "worse", "candidate_version": 2}
    house.lakehouse.replace_periods("promotion_decision", ["2008-08"], pa.Table.from_pylist([row]))
    live = datetime(2008, 7, 1, tzinfo=UTC)
    Deployments(house.lakehouse).record(Deployment(1, live, "2008-06", "models/1", "f", "gate", "first"))
    return house


def at(house: Installation, moment: str) -> dict[str, str]:
    house.home.clock_file.parent.mkdir(parents=True, exist_ok=True)
    house.home.clock_file.write_text(f'{{"now": "{moment}T00:00:00+00:00"}}')
    return dict(overview(house))


def test_what_was_not_measured_is_not_known(house: Installation) -> None:
    told = at(house, "2008-09-02")
    for cause in ("drift", "prediction drift", "concept drift", "performance"):
        assert told[cause].startswith("not known: "), cause
    assert told["label volume"].startswith("no cause: 0 of ")
    assert "clock went back" not in told


def test_a_clock_that_went_back_is_named(house: Installation) -> None:
    told = at(house, "2008-08-02")
    assert told["clock went back"] == "2008-08 was decided as of 2008-09-01, which is yet to come"
    assert at(house, "2008-01-01") == {"clock": "2008-01-01: no period has closed yet"}
