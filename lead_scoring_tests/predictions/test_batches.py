"""Scores of a stream: the same in whatever batches the rows come, and those of the whole frame, bit for bit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
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
def rows(world: World) -> pads.FileSystemDataset:
    return world.house.lakehouse.scan("lead_features")


@settings(max_examples=15)
@given(st.integers(1, 700))
def test_batches_of_any_size_give_the_scores_of_the_whole(
    rows: pads.FileSystemDataset, scorer: Scorer, batch_rows: int
) -> None:
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


def test_nobody_gives_no_batch(world: World, scorer: Scorer) -> None:
    nobody = world.house.lakehouse.scan("lead_features", periods=["1999-01"])
    assert list(score_batches(nobody, scorer, ("lead_id",))) == []


def test_what_a_file_lacks_or_holds_otherwise_is_scored_as_arrows_own_scan_gives_it(
    rows: pads.FileSystemDataset, scorer: Scorer, tmp_path: Path
) -> None:
    """A file older than a column, keys and texts of another type, a number that was whole then, an empty file."""
    table = rows.to_table()
    narrow = table.set_column(
        table.schema.get_field_index("age"), "age", table["age"].cast(pa.float32()).fill_null(40).cast(pa.int64())
    )
    large = pa.schema([f.with_type(pa.large_string()) if pa.types.is_string(f.type) else f for f in table.schema])
    for place, file in enumerate((table, table.drop_columns(["job"]), narrow, table.cast(large), table.slice(0, 0))):
        pq.write_table(file, tmp_path / f"{place}.parquet", row_group_size=170)
    files = pads.dataset(tmp_path, schema=table.schema)
    expected = files.to_table()
    assert expected["job"].null_count > table.num_rows
    found = pa.Table.from_batches(score_batches(files, scorer, ("period", "lead_id"), 100))
    assert found.select(["period", "lead_id"]).equals(expected.select(["period", "lead_id"]))
    assert found["probability"].to_pylist() == scorer.probabilities(expected.to_pandas()).tolist()


def test_scoring_a_stream_does_not_load_the_models_library(world: World) -> None:
    """It would take a third of the memory that scoring needs."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lead_scoring_assets.installation import Installation\n"
        "from lead_scoring_assets.models.bundle import load_scorer\n"
        "from lead_scoring_assets.predictions.batches import score_batches\n"
        "from lead_scoring_assets.settings import Home\n"
        "home = Home(Path(sys.argv[1]))\n"
        "rows = Installation(home).lakehouse.scan('lead_features')\n"
        "print(sum(b.num_rows for b in score_batches(rows, load_scorer(home.data / 'm-1'), ('lead_id',))))\n"
        "print({'xgboost', 'lightgbm', 'sklearn', 'mlflow', 'dagster'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(world.home.root)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split("\n")[:2] == [str(world.house.lakehouse.read("lead_features").num_rows), "set()"]
