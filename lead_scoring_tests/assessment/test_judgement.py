"""What is told of a candidate: rows that keep every figure, the card, the sensitive columns, the worth of deals."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lead_scoring_assets.assessment import judgement
from lead_scoring_assets.assessment.deal_values import deal_values
from lead_scoring_assets.assessment.judgement import OfModel
from lead_scoring_assets.assessment.model_card import model_card
from lead_scoring_assets.assessment.quality import groups_are_chosen_alike, ranks_better_than_chance
from lead_scoring_assets.evaluation.fairness import assess_fairness, watched_attributes
from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.evaluation.segments import by_segment
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.settings import SETTINGS_FILE, Home, parse_settings
from lead_scoring_tests.models.trainings import RECIPES, SETTINGS, train_and_record

NOW = datetime(2009, 7, 1, tzinfo=UTC)
WITH_SENSITIVE = SETTINGS + "  sex: {kind: category, role: sensitive, why: fairness, categories: [f, m]}\n"
V5 = OfModel("2009-06", 5)


def leads(n: int = 600) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n)],
            "job": draw.choice(["clerk", "student"], n),
            "sex": draw.choice(["f", "m"], n),
            "label": (draw.random(n) < 0.3).astype(float),
            "score": draw.random(n),
        }
    )


def test_rows_of_segments_and_fairness_fit_their_schemas_and_keep_every_figure() -> None:
    rows, settings = leads(), parse_settings(WITH_SENSITIVE, "here")
    labels, scores = rows["label"].to_numpy(), rows["score"].to_numpy()
    segments = by_segment(rows, ["job"], labels, scores, settings.evaluation, 1)
    table = pa.Table.from_pylist(judgement.segment_rows(V5, segments), schema=judgement.SEGMENT_SCHEMA)
    assert table.num_rows == len(segments)
    assert table["value"].to_pylist() == [segment.metric.value for segment in segments]
    found = assess_fairness(rows, labels, scores, settings.registry, settings.evaluation, 1)
    told = pa.Table.from_pylist(judgement.fairness_rows(V5, found), schema=judgement.FAIRNESS_SCHEMA).to_pylist()
    assert {row["group"] for row in told} == {"f", "m", None}
    apart = [row for row in told if row["group"] is None]
    assert [row["value"] for row in apart] == [
        found[0].demographic_parity_difference.value,
        found[0].demographic_parity_ratio.value,
        found[0].equalised_odds_difference.value,
    ]


def test_thresholds_for_each_group_are_rows_and_words_where_they_are_asked_for() -> None:
    rows, settings = leads(), parse_settings(WITH_SENSITIVE, "here")
    labels, scores = rows["label"].to_numpy(), rows["score"].to_numpy()

    def told(asked: bool) -> tuple[list[dict[str, object]], dict[str, str]]:
        evaluation = settings.evaluation.model_copy(update={"group_thresholds": asked})
        found = assess_fairness(rows, labels, scores, settings.registry, evaluation, 1)
        table = pa.Table.from_pylist(judgement.fairness_rows(V5, found), schema=judgement.FAIRNESS_SCHEMA)
        return table.to_pylist(), judgement.told_of_fairness(found)

    (plain, words), (more, more_words) = told(False), told(True)
    assert more[: len(plain)] == plain
    added = {(row["group"], row["metric"]): row["value"] for row in more[len(plain) :]}
    for group in ("f", "m"):
        of_group = np.sort(scores[rows["sex"] == group])[::-1]
        best = int(0.2 * len(of_group))
        assert added[group, "own_threshold"] == of_group[best - 1]
        assert added[group, "selection_rate_with_own_threshold"] == pytest.approx(best / len(of_group))
    then, now = added[None, "precision_with_own_thresholds"], added[None, "precision_with_one_threshold"]
    assert added[None, "precision_difference_of_own_thresholds"] == pytest.approx(then - now, abs=0.01)
    assert set(more_words) - set(words) == {"sex, a threshold for each group"}
    assert "no score or worklist uses it" in more_words["sex, a threshold for each group"]


def test_the_watch_sees_a_gap_and_says_what_could_not_be_judged(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    n = 2_000
    sex, region = draw.choice(["f", "m"], n), np.where(np.arange(n) < 50, "far", "near")
    scores = draw.random(n) * np.where(sex == "f", 1.0, 0.7)
    labels = (draw.random(n) < scores).astype(float)
    columns = "  region: {kind: category, role: sensitive, why: fairness, categories: [far, near]}\n"
    settings = parse_settings(WITH_SENSITIVE + columns, "here")
    rows = pd.DataFrame({"sex": sex, "region": region})
    (tmp_path / SETTINGS_FILE).write_text(WITH_SENSITIVE)
    installation = Installation(Home(tmp_path))
    june, july = (settings.calendar.period(key) for key in ("2009-06", "2009-07"))
    for period, given in ((june, scores), (july, draw.random(n))):
        found = assess_fairness(rows, labels, given, settings.registry, settings.evaluation, 1)
        table = pa.Table.from_pylist(
            judgement.fairness_rows(OfModel(period.key, 5), found), schema=judgement.FAIRNESS_SCHEMA
        )
        installation.lakehouse.replace_periods("model_fairness", [period.key], table)
    seen, calm = (groups_are_chosen_alike(installation, period) for period in (june, july))
    assert (seen.passed, seen.numbers) == (False, {"apart": 1, "not_judged": 1})
    assert seen.sentence.startswith("sex: gap; selected are ")
    assert seen.sentence.endswith("limit 0.8; insufficient data: region")
    assert (calm.passed, calm.numbers) == (True, {"apart": 0, "not_judged": 1})


def test_a_holdout_of_one_outcome_is_too_little_to_judge_the_ranking_by(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_FILE).write_text(WITH_SENSITIVE, encoding="utf-8")
    installation = Installation(Home(tmp_path))
    row = {"period": "2009-06", "metric": "auc", "value": np.nan, "low": np.nan, "high": np.nan, "n": 69}
    installation.lakehouse.replace_periods("model_evaluation", ["2009-06"], pa.Table.from_pylist([row]))
    found = ranks_better_than_chance(installation, installation.settings.calendar.period("2009-06"))
    assert (found.passed, found.sentence) == (
        True,
        "insufficient data: the AUC of 69 leads needs two of either outcome",
    )


def test_sensitive_columns_come_from_the_leads_first_rows(tmp_path: Path) -> None:
    lakehouse, settings = Lakehouse(tmp_path), parse_settings(WITH_SENSITIVE, "here")
    raw = pa.table(
        {
            "period": ["2009-05", "2009-06", "2009-05"],
            "lead_id": ["L1", "L1", "L2"],
            "known_at": [NOW - timedelta(days=40), NOW - timedelta(days=5), NOW - timedelta(days=39)],
            "sex": ["f", "m", None],
        }
    )
    lakehouse.replace_periods("raw_leads", ["2009-05", "2009-06"], raw)
    rows = pd.DataFrame({"lead_id": ["L2", "L1", "L3"], "x": [1, 2, 3]})
    attributes = watched_attributes(settings.registry, settings.evaluation)
    found = judgement.with_columns(rows, lakehouse, attributes)
    assert found["lead_id"].tolist() == ["L2", "L1", "L3"]
    assert [None if pd.isna(sex) else sex for sex in found["sex"]] == [None, "f", None]
    assert judgement.with_columns(rows, lakehouse, []) is rows
    assert judgement.with_columns(found, lakehouse, ["sex", "x"]) is found  # features are there already


def test_a_deal_is_worth_what_was_known_then(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path)
    labels = pa.table(
        {
            "period": ["2009-05", "2009-06", "2009-07"],
            "lead_id": ["L1", "L1", "L2"],
            "label": [1, 1, 1],
            "label_known_at": [NOW - timedelta(days=40), NOW - timedelta(days=1), NOW + timedelta(days=1)],
            "deal_value": [100.0, 250.0, 999.0],
        }
    )
    lakehouse.replace_periods("ground_truth_labels", ["2009-05", "2009-06", "2009-07"], labels)
    found = deal_values(lakehouse, ["L2", "L1"], NOW)
    assert found is not None
    assert np.array_equal(found, [np.nan, 250.0], equal_nan=True)
    assert deal_values(lakehouse, ["L2"], NOW) is None


@pytest.mark.parametrize("is_simulated", [False, True])
def test_the_card_says_what_a_person_should_know(tmp_path: Path, is_simulated: bool) -> None:
    made = train_and_record(tmp_path, RECIPES["logistic"]).record
    settings = parse_settings(SETTINGS + ("crm: simulated\n" if is_simulated else ""), "here")
    metrics = [Metric("auc", 0.7, 0.6, 0.8, 1_200), Metric("brier", np.nan, np.nan, np.nan, 0)]
    card = model_card(5, made, metrics, settings)
    assert ("SIMULATED" in card) == is_simulated
    assert "| auc | 0.7 | 0.6 to 0.8 | 1,200 |" in card
    assert "| brier | insufficient data | | 0 |" in card
    assert "Algorithm logistic, C 0.5" in card
    for part in ("age, size, job", made.snapshot, made.trigger_reason, made.provenance.git_commit, "reproduce 5"):
        assert part in card
