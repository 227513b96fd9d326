"""A period's scores as a whole: who is scored by which model, why, what changed, and the same again."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lead_scoring_assets.errors import LakehouseError, ScoringError
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.calibration import Calibrator
from lead_scoring_assets.predictions.model import LoadedModel, live_model, named_model
from lead_scoring_assets.predictions.named_scores import score_by_name
from lead_scoring_assets.predictions.period_scores import NAMED_SCHEMA, SCHEMA, score_live, score_period
from lead_scoring_tests.predictions.conftest import EVER_LIVE, LEADS, MONTHS, OF_JULY, OF_JUNE, OF_MAY, World


@pytest.fixture(scope="module")
def august(world: World) -> pa.Table:
    scores = score_live(world.house, world.home.settings.calendar.period("2008-08"))
    assert scores is not None
    return scores


def row(scores: pa.Table, lead_id: str) -> dict[str, object]:
    [found] = scores.filter(pc.equal(scores["lead_id"], lead_id)).to_pylist()
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("month", MONTHS)
def test_each_period_is_scored_by_the_model_that_was_live_when_it_began(world: World, month: str) -> None:
    scores = score_live(world.house, world.home.settings.calendar.period(month))
    if EVER_LIVE[month] is None:
        assert scores is None
        return
    assert scores is not None
    assert scores.schema == SCHEMA
    assert set(scores["model_version"].to_pylist()) == {EVER_LIVE[month]}
    leads = world.features(month)
    assert sorted(scores["lead_id"].to_pylist()) == sorted(leads["lead_id"])
    # The reference: the bundle itself over the whole frame, no batches, no coded texts.
    expected = load_scorer(world.home.data / f"m-{EVER_LIVE[month]}").probabilities(leads)
    found = dict(zip(scores["lead_id"].to_pylist(), scores["probability"].to_pylist(), strict=True))
    assert [found[lead] for lead in leads["lead_id"]] == expected.tolist()


def test_new_and_changed_leads_are_scored_and_nobody_else(world: World, august: pa.Table) -> None:
    """A lead of an earlier period is in the queue again only because a version of it became known now."""
    assert august.num_rows == LEADS + 3
    before = august.filter(pc.is_valid(august["previous_period"]))
    assert sorted(before["lead_id"].to_pylist()) == [OF_JUNE, OF_JULY]


def test_the_parts_of_a_change_are_those_of_the_models_one_by_one(world: World, august: pa.Table) -> None:
    found = row(august, OF_JUNE)
    before = world.features("2008-06").query("lead_id == @OF_JUNE")
    now = world.features("2008-08").query("lead_id == @OF_JUNE")
    v1, v2 = (load_scorer(world.home.data / f"m-{version}") for version in (1, 2))
    assert found["previous_period"] == "2008-06"
    assert found["previous_model_version"] == 1
    assert found["previous_probability"] == v1.probabilities(before)[0]
    assert found["change_by_data"] == 0  # it came again as it was
    assert found["change_by_model"] == pytest.approx((v2.probabilities(now) - v1.probabilities(now))[0], abs=1e-15)
    assert re.fullmatch(
        r"0\.\d{3} → 0\.\d{3}: data \+0\.000 \(unchanged\), model [+-]0\.\d{3} \(v1 → v2\)", str(found["change"])
    )


def test_a_change_of_the_data_names_the_features_that_changed(world: World, august: pa.Table) -> None:
    found = row(august, OF_JULY)
    before = world.features("2008-07").query("lead_id == @OF_JULY")
    now = world.features("2008-08").query("lead_id == @OF_JULY")
    v1, v2 = (load_scorer(world.home.data / f"m-{version}") for version in (1, 2))
    was, between, is_now = (float(s.probabilities(f)[0]) for s, f in ((v1, before), (v1, now), (v2, now)))
    parts = [found[name] for name in ("previous_probability", "change_by_data", "change_by_model", "probability")]
    assert parts == pytest.approx([was, between - was, is_now - between, is_now], abs=1e-15)
    assert between != was
    words = str(found["change"])
    assert "→ 20" in words
    assert f"{before['job'].iloc[0]} → not given" in words
    assert "balance" not in words  # it stayed


def test_a_lead_that_nobody_could_score_before_has_no_change(world: World, august: pa.Table) -> None:
    """It came in May, when no model was live."""
    may = row(august, OF_MAY)
    assert [may[name] for name in SCHEMA.names if name.startswith(("previous", "change"))] == [None] * 6


def test_what_is_materialised_in_any_order_is_the_same(world: World, august: pa.Table) -> None:
    """Nothing is read from earlier scores: there are none in this home, and the change is known all the same."""
    assert not world.house.lakehouse.exists("lead_scores")
    again = score_live(world.house, world.home.settings.calendar.period("2008-08"))
    assert again is not None
    assert content_hash(again) == content_hash(august)
    assert again.equals(august)


def test_the_best_have_reasons_and_the_others_have_none(world: World, august: pa.Table) -> None:
    with_reasons = pc.or_(pc.is_valid(august["reason_up_1"]), pc.is_valid(august["reason_down_1"])).to_pylist()
    share = world.home.settings.evaluation.capacity_share
    best = max(20, int(np.ceil(share * august.num_rows)))
    assert with_reasons == [True] * best + [False] * (august.num_rows - best)
    told = august["reason_up_1"].to_pylist()[0]
    assert "raises the odds" in told


def test_an_old_model_that_is_damaged_does_not_keep_leads_from_being_called(own_world: World) -> None:
    (own_world.home.data / "m-1" / "manifest.json").write_text("{}")
    scores = score_live(own_world.house, own_world.home.settings.calendar.period("2008-08"))
    assert scores is not None
    found = row(scores, OF_JUNE)
    assert found["previous_probability"] is None
    assert found["change"] == "scored by v1, which does not load any more: what changed is not known"
    with pytest.raises(LakehouseError, match="manifest"):
        score_live(own_world.house, own_world.home.settings.calendar.period("2008-06"))


def test_a_lead_that_comes_late_is_scored_when_it_is_known(own_world: World) -> None:
    late = (
        own_world.features("2008-06")
        .head(1)
        .assign(period="2008-08", lead_id="LATE", known_at=own_world.end("2008-08"))
    )
    schema = own_world.house.lakehouse.scan("lead_features").schema
    rows = pd.concat([own_world.features("2008-08"), late])
    table = pa.Table.from_pandas(rows[schema.names], schema=schema, preserve_index=False)
    own_world.house.lakehouse.replace_periods("lead_features", ["2008-08"], table)
    scores = score_live(own_world.house, own_world.home.settings.calendar.period("2008-08"))
    assert scores is not None
    found = row(scores, "LATE")
    assert str(found["created_at"])[:7] == "2008-06"
    assert found["scored_at"] == own_world.end("2008-08")
    assert found["previous_period"] is None


# Named models.


@pytest.mark.parametrize(("name", "version"), [("1", 1), ("v1", 1), ("2", 2), ("production", 2)])
def test_a_named_model_scores_any_period(world: World, name: str, version: int) -> None:
    scores = score_by_name(world.house, "2008-05", name)
    assert scores.schema == NAMED_SCHEMA
    assert scores.num_rows == LEADS
    assert set(scores["model_version"].to_pylist()) == {version}


def test_without_a_period_it_is_the_newest(world: World) -> None:
    assert set(score_by_name(world.house, None, "1")["period"].to_pylist()) == {"2008-08"}


def test_the_named_model_that_was_live_gives_what_was_given_then(world: World, august: pa.Table) -> None:
    assert score_by_name(world.house, "2008-08", "2").equals(august.select(NAMED_SCHEMA.names))


@pytest.mark.parametrize("name", ["7", "v", "best", "-1", ""])
def test_an_unknown_model_is_refused_by_name_with_those_that_there_are(world: World, name: str) -> None:
    with pytest.raises(ScoringError, match=re.escape(repr(name)) + ".*v1, v2"):
        named_model(world.house, name)


def test_a_trained_model_that_never_went_live_can_be_named(own_world: World) -> None:
    fingerprint = own_world.trains(9, "logistic", lambda rows: rows["age"] < 30, Calibrator(1.0, 0.0))
    own_world.writes(
        "trained_model",
        "2008-08",
        [{"period": "2008-08", "version": 9, "run_id": "r", "bundle": "m-9", "fingerprint": fingerprint}],
    )
    assert named_model(own_world.house, "9").version == 9


def test_without_a_live_model_production_is_refused(own_world: World) -> None:
    house = own_world.house
    assert live_model(house, own_world.home.settings.calendar.period("2008-05").start) is None
    own_world.home.clock_file.unlink()
    own_world.is_now(own_world.home.settings.calendar.period("2008-05").start)
    with pytest.raises(ScoringError, match="no model is live"):
        score_by_name(own_world.house, "2008-05", "production")


def test_a_period_without_leads_is_refused_by_name(world: World) -> None:
    with pytest.raises(ScoringError, match="2009-01 has no leads to score"):
        score_by_name(world.house, "2009-01", "1")


def test_a_column_that_the_model_reads_and_nobody_has_is_named(world: World) -> None:
    model = named_model(world.house, "1")

    class Greedy:
        columns = (*model.scorer.columns, "shoe_size")

    with pytest.raises(ScoringError, match="reads shoe_size"):
        score_period(world.house, world.home.settings.calendar.period("2008-05"), LoadedModel(1, Greedy()))  # type: ignore[arg-type]
