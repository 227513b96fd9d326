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
from lead_scoring_assets.evaluation.fairness import assess_fairness
from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.evaluation.segments import by_segment
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.settings import parse_settings
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
    found = judgement.with_sensitive_columns(rows, lakehouse, settings.registry)
    assert found["lead_id"].tolist() == ["L2", "L1", "L3"]
    assert [None if pd.isna(sex) else sex for sex in found["sex"]] == [None, "f", None]
    plain = parse_settings(SETTINGS, "here")
    assert judgement.with_sensitive_columns(rows, lakehouse, plain.registry) is rows


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
