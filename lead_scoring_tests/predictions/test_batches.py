"""Scores of a stream: the same in whatever batches the rows come, and those of the whole frame, bit for bit."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.predictions.batches import features_frame, score_batches
from lead_scoring_tests.predictions.conftest import World


@pytest.fixture(scope="module")
def scorer(world: World) -> Scorer:
    return load_scorer(world.home.data / "m-1")


@pytest.fixture(scope="module")
def rows(world: World) -> pads.Dataset:
    return world.house.lakehouse.scan("lead_features")


@settings(max_examples=15)
@given(st.integers(1, 700))
def test_batches_of_any_size_give_the_scores_of_the_whole(rows: pads.Dataset, scorer: Scorer, batch_rows: int) -> None:
    found = pa.Table.from_batches(score_batches(rows, scorer, ("lead_id", "period"), batch_rows))
    whole = rows.to_table().to_pandas()
    assert found.column_names == ["lead_id", "period", "probability"]
    assert found["lead_id"].to_pylist() == whole["lead_id"].tolist()
    assert found["probability"].to_pylist() == scorer.probabilities(whole).tolist()


def test_the_margins_are_those_of_the_booster(world: World, scorer: Scorer) -> None:
    """The model's own file, read by its own library, is the reference."""
    import xgboost

    from lead_scoring_assets.models.encoder import Encoder

    folder = world.home.data / "m-1"
    booster = xgboost.Booster(model_file=str(folder / "model.ubj"))
    encoder = Encoder.from_json((folder / "encoder.json").read_text())
    frame = world.features("2008-06")
    matrix = xgboost.DMatrix(encoder.encode(frame), feature_types=encoder.feature_types)
    assert (scorer.margins(frame) == booster.predict(matrix, output_margin=True)).all()
    np.testing.assert_allclose(scorer.probabilities(frame), booster.predict(matrix), rtol=3e-7)


def test_unseen_and_missing_texts_and_numbers_are_coded_as_they_are(world: World, scorer: Scorer) -> None:
    frame = world.features("2008-06").head(4)
    frame["job"] = ["astronaut", None, "student", ""]
    frame["age"] = [np.nan, 1e300, -5.0, 40.0]
    frame["default"] = pd.Series([None] * 4, dtype=object, index=frame.index)
    table = pa.Table.from_pandas(frame, schema=world.house.lakehouse.scan("lead_features").schema, preserve_index=False)
    coded = features_frame(table, scorer)
    assert isinstance(coded["job"].dtype, pd.CategoricalDtype)
    assert scorer.probabilities(coded).tolist() == scorer.probabilities(frame).tolist()
    assert scorer.contributions(coded).tolist() == scorer.contributions(frame).tolist()


def test_nobody_gives_no_batch(rows: pads.Dataset, scorer: Scorer) -> None:
    nobody = pads.dataset(rows.schema.empty_table())
    assert list(score_batches(nobody, scorer, ("lead_id",))) == []
