"""Why a score changed: two parts that add up, whatever the models, and the features that changed, by name."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.predictions.changes import SCHEMA, explain_changes, unknown_changes
from lead_scoring_assets.predictions.model import LoadedModel

REGISTRY = Registry(
    {
        "visits": Column(kind="integer", role="feature", why="interest"),
        "budget": Column(kind="number", role="feature", why="means"),
        "source": Column(kind="category", role="feature", why="channel", categories=("web", "fair")),
    }
)


class Linear:
    """Log odds are a weighted sum; a missing number counts 0, a text its length. `gone` the registry has forgotten."""

    columns = ("visits", "budget", "source", "gone_for_good")

    def __init__(self, *weights: float) -> None:
        self.weights = np.array(weights)

    def _parts(self, frame: pd.DataFrame) -> np.ndarray:
        numbers = [frame[name].map(lambda v: len(v) if isinstance(v, str) else v) for name in self.columns]
        return np.nan_to_num(np.column_stack(numbers).astype(float)) * self.weights

    def probabilities(self, frame: pd.DataFrame) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-self._parts(frame).sum(axis=1))))

    def contributions(self, frame: pd.DataFrame) -> np.ndarray:
        return np.column_stack([self._parts(frame), np.zeros(len(frame))])


V4 = LoadedModel(4, Linear(0.1, 0.01, 0.5, 0.2))  # type: ignore[arg-type]
V7 = LoadedModel(7, Linear(0.2, -0.01, 0.1, 0.0))  # type: ignore[arg-type]


def lead(**values: object) -> pd.DataFrame:
    usual = {"lead_id": "a", "period": "2024-01", "visits": 3.0, "budget": 50.0, "source": "web", "gone_for_good": 0.0}
    return pd.DataFrame([{**usual, **values}])


def words(before: pd.DataFrame, after: pd.DataFrame, new: LoadedModel = V7) -> str:
    found = explain_changes(before, after, V4, new, REGISTRY)
    assert found.schema == SCHEMA
    return str(found["change"][0])


@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.floats(-50, 50))] * 2, *[st.sampled_from(["web", "fair", None])] * 2),
        min_size=1,
        max_size=8,
    )
)
def test_the_parts_add_up_and_each_is_one_step(leads: list[tuple[object, ...]]) -> None:
    names = [f"l{i}" for i in range(len(leads))]
    shared = {"lead_id": names, "period": "2024-01", "budget": 1.0, "gone_for_good": 0.0}
    before = pd.DataFrame({**shared, "visits": [row[0] for row in leads], "source": [row[2] for row in leads]})
    after = pd.DataFrame({**shared, "visits": [row[1] for row in leads], "source": [row[3] for row in leads]})
    found = explain_changes(before, after, V4, V7, REGISTRY).to_pandas()
    total = found["previous_probability"] + found["change_by_data"] + found["change_by_model"]
    np.testing.assert_allclose(total, V7.scorer.probabilities(after), atol=1e-15)
    unchanged = [row[0] == row[1] and row[2] == row[3] for row in leads]
    assert (found.loc[unchanged, "change_by_data"] == 0).all()
    assert found["change"].str.contains("(unchanged)", regex=False).tolist() == unchanged
    same = explain_changes(before, after, V4, V4, REGISTRY).to_pandas()
    assert (same["change_by_model"] == 0).all()


def test_in_words() -> None:
    before, after = lead(), lead(visits=12.0)
    p = [model.scorer.probabilities(frame)[0] for model, frame in ((V4, before), (V4, after), (V7, after))]
    assert words(before, after) == (
        f"{p[0]:.3f} → {p[2]:.3f}: data {p[1] - p[0]:+.3f} (visits (interest) 3 → 12), model {p[2] - p[1]:+.3f} (v4 → v7)"
    )
    assert words(before, before, V4) == f"{p[0]:.3f} → {p[0]:.3f}: data +0.000 (unchanged), model +0.000 (still v4)"


def test_the_feature_that_moved_the_old_model_most_is_named_first_and_the_rest_is_counted() -> None:
    told = words(lead(), lead(visits=4.0, budget=1e4, source="fair"))
    assert re.search(r"\(budget \(means\) 50 → 10,000, source \(channel\) web → fair and 1 more\)", told), told


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (np.nan, 3.0, "not given → 3"),
        (3.0, np.nan, "3 → not given"),
        (np.nan, np.nan, "unchanged"),
        (0.1 + 0.2, 0.3, "0.3 → 0.3"),  # another value is another value, however it prints
    ],
)
def test_values_that_are_not_given(before: float, after: float, told: str) -> None:
    assert told in words(lead(visits=before), lead(visits=after))


def test_a_feature_that_the_registry_has_given_up_is_named_all_the_same() -> None:
    assert "(gone for good 0 → 1)" in words(lead(), lead(gone_for_good=1.0))


def test_a_change_that_cannot_be_known_has_no_numbers() -> None:
    found = unknown_changes(lead(), 4)
    assert found.schema == SCHEMA
    [row] = found.to_pylist()
    assert row["previous_probability"] is None
    assert row["change_by_data"] is None
    assert "v4, which does not load" in row["change"]


def test_of_very_many_the_features_of_those_that_moved_most_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lead_scoring_assets.predictions.changes._MOST_NAMED", 1)
    before = pd.concat([lead(), lead(lead_id="b")])
    after = pd.concat([lead(visits=4.0), lead(lead_id="b", visits=30.0)])
    little, much = explain_changes(before, after, V4, V4, REGISTRY)["change"].to_pylist()
    assert "(visits" not in little
    assert "(visits (interest) 3 → 30)" in much
