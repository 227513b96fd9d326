"""A whole reading on made-up tables: winners win, losers lose, a broken split blocks, and every figure is there."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.experiments.figures import ROLES
from lead_scoring_assets.experiments.reading import Reading, Tables, read_experiment
from lead_scoring_assets.experiments.results import SCHEMA, rows_of
from lead_scoring_assets.settings import RolloutPolicy
from lead_scoring_tests.experiments.worlds import PLAN, START, plan, world

LEADS, DAYS = 9_000, 40


def read(tables: Tables, experiment: Experiment = PLAN, **changes: Any) -> Reading:
    told = {"feedback": ["Omar: better order"], "minimum_effective_leads": 200} | changes
    return read_experiment(experiment, START, tables.labels_until, tables, RolloutPolicy(), **told)


@pytest.fixture(scope="module")
def better() -> Tables:
    return world(PLAN, LEADS, DAYS, 0.125, 0.19, reps=5)


@pytest.fixture(scope="module")
def winner(better: Tables) -> Reading:
    return read(better)


def test_a_better_treatment_wins(winner: Reading) -> None:
    assert winner.decision.verdict == "PROMOTE_TREATMENT"
    assert winner.evidence.units == winner.exposed == LEADS
    assert winner.evidence.sequence is not None
    assert winner.evidence.sequence.low < 0.19 / 0.125 < winner.evidence.sequence.high


def test_every_figure_of_the_registry_is_told_with_its_interval(winner: Reading) -> None:
    found = {figure.metric: figure for figure in winner.figures}
    assert found.keys() == ROLES.keys()
    assert {figure.status for figure in winner.figures if figure.metric != "time_to_contact_hours"} == {"ok"}
    for figure in winner.figures:
        if figure.status == "ok" and figure.role != "validity":
            assert figure.effect.low <= figure.effect.value <= figure.effect.high
            assert figure.control.low <= figure.control.value <= figure.control.high
    assert found["time_to_contact_hours"].status == "not_computable"
    # Drawn 1 to 1, what all would bring with an arm is what those with it brought.
    assert found["conversion_if_all"].treatment.value == pytest.approx(found["conversion_lift"].treatment.value)


def test_the_rows_hold_what_a_result_has_to_say(winner: Reading) -> None:
    rows = pa.Table.from_pylist(rows_of(winner), schema=SCHEMA).to_pylist()
    [primary] = [row for row in rows if row["metric"] == "conversion_lift"]
    assert primary["n_control"] + primary["n_treatment"] == LEADS
    assert primary["effect_low"] < primary["effect"] < primary["effect_high"]
    assert primary["effect"] == pytest.approx(primary["treatment"] / primary["control"] - 1)
    assert primary["p_value"] < 0.05
    assert primary["is_significant"] is primary["is_sample_sufficient"] is True
    assert (primary["verdict"], primary["role"]) == ("PROMOTE_TREATMENT", "primary")
    assert "better order" in primary["checklist"]
    assert {row["verdict_reason"] for row in rows} == {winner.decision.reason}


def test_reps_who_work_both_arms_are_a_warning(winner: Reading) -> None:
    assert any(
        warning.startswith("5 of 5 reps worked leads of both arms (100% of the leads)") for warning in winner.warnings
    )


def test_the_interval_over_days_ends_where_the_reading_stands(winner: Reading) -> None:
    assert winner.by_day is not None
    assert len(winner.by_day.ratio) == DAYS + 31
    assert (winner.by_day.low <= winner.by_day.high).all()
    # Nobody is 30 days old before: everything is possible.
    assert (winner.by_day.low[:29] == 0).all()
    assert np.isinf(winner.by_day.high[:29]).all()
    assert winner.evidence.sequence is not None
    assert winner.by_day.low[-1] == pytest.approx(winner.evidence.sequence.low)


def test_reading_again_gives_the_same(better: Tables, winner: Reading) -> None:
    again = Tables(
        better.served.take(pa.array(np.random.default_rng(1).permutation(LEADS))), better.labels, better.labels_until
    )
    assert str(rows_of(read(again))) == str(rows_of(winner))


def test_a_worse_treatment_loses() -> None:
    assert read(world(PLAN, LEADS, DAYS, 0.19, 0.125)).decision.verdict == "KEEP_CONTROL"


def test_before_anybody_is_old_enough_nothing_is_decided(better: Tables) -> None:
    found = read(replace(better, labels_until=START + timedelta(days=20)))
    assert found.decision.verdict == "CONTINUE_TEST"
    assert found.evidence.units == 0
    assert {figure.status for figure in found.figures if figure.role == "primary"} == {"insufficient_data"}


def test_a_table_that_lost_answers_of_one_arm_blocks(better: Tables) -> None:
    lost = pc.and_(pc.equal(better.served["arm"], "champion"), pc.equal(pc.utf8_length(better.served["lead_id"]), 8))
    found = read(replace(better, served=better.served.filter(pc.invert(lost))))
    assert found.decision.verdict == "BLOCKED"
    assert "do NOT fit" in found.decision.reason


@pytest.mark.parametrize(("column", "instead"), [("source", "fallback"), ("model_version", 1)])
def test_where_the_treatment_fails_and_another_answers_it_ends(better: Tables, column: str, instead: Any) -> None:
    fails = pc.and_(pc.equal(better.served["arm"], "challenger"), pc.equal(pc.utf8_length(better.served["lead_id"]), 8))
    place = better.served.schema.get_field_index(column)
    changed = pc.if_else(fails, instead, better.served[column])
    found = read(replace(better, served=better.served.set_column(place, column, changed)))
    assert found.decision.verdict == "KEEP_CONTROL"
    assert "errors" in found.decision.reason
    assert any("answers of the challenger came from v1 instead" in warning for warning in found.warnings) == (
        column == "model_version"
    )


def test_the_process_as_a_control_has_no_score_and_no_latency() -> None:
    against_process = plan(control="process", control_version=None)
    tables = world(against_process, 4_000, DAYS, 0.125, 0.19)
    is_process = pc.equal(tables.served["arm"], "process")
    served = tables.served
    for name in ("score", "model_version"):
        place = served.schema.get_field_index(name)
        empty = pa.nulls(len(served), served.schema.field(name).type)
        served = served.set_column(place, name, pc.if_else(is_process, empty, served[name]))
    found = read(replace(tables, served=served), against_process)
    figures = {figure.metric: figure for figure in found.figures}
    assert figures["auc"].status == "insufficient_data"
    assert figures["conversion_lift_always_valid"].status == "ok"
    assert found.warnings == ()


def test_what_was_answered_by_another_version_or_drawn_otherwise_is_a_warning(better: Tables) -> None:
    served = better.served
    versions = pc.if_else(pc.equal(served["lead_id"], "lead 1"), 9, served["model_version"])
    served = served.set_column(served.schema.get_field_index("model_version"), "model_version", versions)
    served = served.set_column(served.schema.get_field_index("propensity"), "propensity", pa.array([0.9] * len(served)))
    told = " ".join(read(replace(better, served=served)).warnings)
    assert "1 of " in told
    assert "came from v9 instead" in told
    assert "9,000 of 9,000 units were drawn with another probability" in told


def test_drawn_by_rep_the_interval_counts_reps() -> None:
    by_rep = plan(unit="rep", planned_units=3_000)
    found = read(world(by_rep, 4_000, DAYS, 0.125, 0.19, reps=60), by_rep)
    assert found.by_day is None
    assert found.evidence.sequence is None
    assert found.evidence.by_rep is not None
    assert found.evidence.by_rep.n == found.exposed == 60
    assert not any("reps worked" in warning for warning in found.warnings)
    assert found.decision.verdict == "PROMOTE_TREATMENT"


def test_news_that_comes_after_a_leads_age_ends_nothing(better: Tables) -> None:
    """All planned leads were counted and none of them converted in time: nobody knows which arm is better."""
    assert better.labels is not None
    known = better.labels["label_known_at"].to_pylist()
    later = pa.array(
        [moment + timedelta(days=30) for moment in known], better.labels.schema.field("label_known_at").type
    )
    labels = better.labels.set_column(better.labels.schema.get_field_index("label_known_at"), "label_known_at", later)
    late = replace(better, labels=labels, labels_until=better.labels_until + timedelta(days=30))
    found = read(late, plan(planned_units=LEADS))
    won = sum(label == 1 for label in better.labels["label"].to_pylist())
    assert (found.evidence.units, found.evidence.conversions, found.evidence.conversions_too_late) == (LEADS, 0, won)
    assert found.decision.verdict == "CONTINUE_TEST"
    assert f"{won:,} more became known after the 30 days" in found.decision.reason
    assert any(f"{won:,} conversions became known after" in warning for warning in found.warnings)
    assert not any("became known after" in warning for warning in read(better).warnings)
