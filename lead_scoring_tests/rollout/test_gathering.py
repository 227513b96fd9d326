"""From made-up tables to evidence: which rows count, whose they are, and as of when labels are known."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.rollout.evidence import Evidence
from lead_scoring_assets.rollout.gathering import gather, labels_as_of, shadowed_of
from lead_scoring_assets.rollout.guards import Stratum
from lead_scoring_assets.rollout.states import Rollout
from lead_scoring_tests.promotion.worlds import PERIODS, leads
from lead_scoring_tests.rollout.homes import BEGIN, DAY, RolloutHome

WINDOW = 30 * DAY
SHADOW = Rollout("rollout-1-v2", 2, 1, "shadow", 0, 0, BEGIN, BEGIN, "mona")
CANARY = replace(SHADOW, state="canary", step=3, share_bp=5_000)


def gathered(home: RolloutHome, rollout: Rollout) -> Evidence:
    live = home.deployments().newest()
    assert live is not None
    return gather(home.house, rollout, live, home.now)


def test_without_tables_nothing_is_known(home: RolloutHome) -> None:
    for rollout in (SHADOW, CANARY, replace(CANARY, state="watching")):
        found = gathered(home, rollout)
        assert (found.live.version, found.candidate.n, found.control.n, found.matured) == (1, 0, 0, ())
        assert (found.shadow_leads, found.labels_as_of, found.is_rejected) == (0, None, False)


def test_answers_are_those_of_this_rollout_since_this_share(home: RolloutHome) -> None:
    of = {"rollout_id": "rollout-1-v2", "share_bp": 5_000}
    home.serves(
        [
            *({"lead_id": f"a{i}", "arm": "challenger", "latency_us": 20_000, **of} for i in range(7)),
            {"lead_id": "b", "arm": "challenger", "source": "fallback", **of},
            {"lead_id": "c", "arm": "challenger", "status": 503, **of},
            *({"lead_id": f"d{i}", **of} for i in range(5)),
            {"lead_id": "e", **of, "source": "fallback"},
            {"lead_id": "f", "arm": "challenger", "rollout_id": "rollout-0-v9"},
            {"lead_id": "g", "arm": "challenger", **of, "at": BEGIN - DAY},
            {"lead_id": "h", "arm": None, **of},
        ]
    )
    found = gathered(home, CANARY)
    assert (found.candidate.n, found.candidate.errors, found.candidate.p95.value) == (9, 2, 20.0)
    assert (found.control.n, found.control.errors, found.control.p95.value) == (6, 1, 5.0)


def test_a_new_champion_is_judged_by_all_answers_and_timed_against_the_canary(home: RolloutHome) -> None:
    of = {"rollout_id": "rollout-1-v2", "at": BEGIN - DAY}
    home.serves(
        [
            *({"lead_id": f"a{i}", "arm": "champion", "latency_us": 3_000, **of} for i in range(4)),
            {"lead_id": "b", "arm": "challenger", **of},
            *({"lead_id": f"c{i}", "arm": None, "model_version": 2} for i in range(6)),
            {"lead_id": "d", "arm": None, "source": "fallback", "model_version": None},
            {"lead_id": "e", "model_version": 1},  # a server that had not followed yet
        ]
    )
    found = gathered(home, replace(CANARY, state="watching", share_bp=10_000))
    assert (found.candidate.n, found.candidate.errors) == (7, 1)
    assert (found.control.n, found.control.p95.value) == (4, 3.0)


def test_only_matured_leads_are_counted_each_once_by_its_first_answer(home: RolloutHome) -> None:
    of = {"rollout_id": "rollout-1-v2", "at": BEGIN}
    rows = [
        {"lead_id": "won", "arm": "challenger", "share_bp": 500, **of},
        {"lead_id": "lost", "arm": "challenger", "share_bp": 5_000, **of},
        {"lead_id": "won-control", "share_bp": 5_000, **of},
        {"lead_id": "moved", "share_bp": 500, **of},
        {"lead_id": "moved", "arm": "challenger", "share_bp": 5_000, **of, "at": BEGIN + DAY},
        {"lead_id": "young", "arm": "challenger", "share_bp": 5_000, **of, "at": BEGIN + 20 * DAY},
        {"lead_id": "told-before", "arm": "challenger", "share_bp": 500, **of},
        {"lead_id": "unknown", "arm": "challenger", "share_bp": 500, **of},
        {"lead_id": "of-the-process", "arm": "process", "share_bp": 500, **of},
    ]
    home.serves(rows)
    home.labels(BEGIN - DAY, [("told-before", 1)])
    after = BEGIN + 22 * DAY
    told = [("won", 1), ("lost", 0), ("won-control", 1), ("moved", 0), ("young", 1), ("of-the-process", 1)]
    home.labels(after, told)
    home.now = BEGIN + 60 * DAY
    # Labels of January are known, and January ended 31 days after these leads came; the young one came too late for it.
    found = gathered(home, CANARY)
    assert found.labels_as_of == BEGIN + 31 * DAY
    assert found.matured == (Stratum(1, 1, 0, 1), Stratum(0, 1, 1, 1))
    assert found.label_coverage == 0.8  # `unknown` has none
    home.now = BEGIN + 29 * DAY
    assert gathered(home, CANARY).matured == ()


def test_labels_are_known_until_the_newest_period_ends_or_now(home: RolloutHome) -> None:
    assert labels_as_of(home.house, BEGIN) is None
    home.labels(BEGIN + 2 * DAY, [("a", 1)])
    assert labels_as_of(home.house, BEGIN + 3 * DAY) == BEGIN + 3 * DAY
    assert labels_as_of(home.house, BEGIN + 99 * DAY) == BEGIN + 31 * DAY


def test_a_label_that_is_taken_back_is_none(home: RolloutHome) -> None:
    home.shadows(2, 3)
    first, second, third = (f"lead-{i}-{BEGIN:%j%H}" for i in range(3))
    home.labels(BEGIN + DAY, [(first, 1), (second, 0), (third, 0)])
    home.labels(BEGIN + 2 * DAY, [(second, None)])
    found = shadowed_of(home.house, 2, BEGIN, BEGIN + 31 * DAY)
    assert (found.matured, sorted(label for label in found.labels if label == label)) == (3, [0.0, 1.0])


def test_the_shadow_is_judged_by_each_leads_first_score_and_all_its_ends(home: RolloutHome) -> None:
    home.shadows(2, 50)
    home.shadows(2, 4, lead_id="lead-0-00100", request_id="again")  # the same lead, over and over
    home.shadows(2, 2, outcome="failed", shadow_score=None, shadow_latency_us=None)
    home.shadows(2, 3, outcome="dropped", shadow_score=None, shadow_latency_us=None)
    home.shadows(3, 9)
    home.serves([{"lead_id": f"x{i}", "arm": None, "shadow_version": 2} for i in range(70)])
    # Of another shadow, and of no shadow: as before it, and after it.
    home.serves([{"lead_id": f"y{i}", "arm": None, "shadow_version": 3} for i in range(5)])
    home.serves([{"lead_id": f"z{i}", "arm": None} for i in range(8)])
    found = shadowed_of(home.house, 2, BEGIN, BEGIN)
    assert found.outcomes == {"scored": 54, "failed": 2, "dropped": 3}
    assert (len(found.champion), len(found.shadow_ms), found.requests) == (50, 54, 70)
    evidence = gathered(home, SHADOW)
    assert (evidence.candidate.n, evidence.candidate.errors, evidence.control.n) == (56, 2, 54)
    assert evidence.shadow_leads == 50
    assert {guard.name for guard in evidence.shadow_guards} == {"scores", "ranking"}
    later = shadowed_of(home.house, 2, BEGIN + timedelta(seconds=1), BEGIN + DAY)
    assert (len(later.champion), later.requests) == (0, 0)


def test_the_shadows_own_scores_on_its_holdout_are_the_reference(home: RolloutHome) -> None:
    home.propose(2)
    rows = leads(300, seed=9).assign(split="holdout", period=PERIODS[1])
    home.house.lakehouse.replace_periods("training_set", [PERIODS[1]], pa.Table.from_pandas(rows, preserve_index=False))
    scorer = load_scorer(home.root / "data" / "models" / "m-2")
    found = shadowed_of(home.house, 2, BEGIN, BEGIN)
    np.testing.assert_array_equal(found.offline, scorer.probabilities(rows))
    home.shadows(2, 300, shadow_score=0.99)
    scores = next(guard for guard in gathered(home, SHADOW).shadow_guards if guard.name == "scores")
    assert scores.status == "held"
    home.damage(2)
    assert len(shadowed_of(home.house, 2, BEGIN, BEGIN).offline) == 0


@pytest.mark.parametrize("state", ["shadow", "canary"])
def test_a_version_that_a_person_rejected_is_told(home: RolloutHome, state: str) -> None:
    home.deployments().append(home.step(2, "rejected"))
    assert gathered(home, CANARY if state == "canary" else SHADOW).is_rejected
