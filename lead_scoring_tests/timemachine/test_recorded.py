"""The arrays say the same as the tables, asked by the product's own SQL."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.labels.maturity import labels_known_at
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.training_set import TrainingWindow, build_training_set
from lead_scoring_assets.timemachine.recorded import Recorded, read_recorded
from lead_scoring_tests.timemachine.worlds import WINDOW, settings_of, tables

SETTINGS = settings_of()


def corrected() -> tuple[pa.Table, pa.Table]:
    """A history in which a tenth of the leads has a later row with other features, and a tenth of the labels is corrected,
    some of them taken back."""
    features, labels = tables(months=8, leads_a_month=80, seed=4)
    draws = np.random.default_rng(4)
    again = features.to_pandas().sample(frac=0.1, random_state=1)
    again["known_at"] += timedelta(days=35)
    again["x"] += 5
    again["period"] = [SETTINGS.calendar.containing(moment).key for moment in again["known_at"]]
    other = labels.to_pandas().sample(frac=0.1, random_state=2)
    other["label_known_at"] += timedelta(days=20)
    other["label"] = np.where(draws.random(len(other)) < 0.3, None, 1 - other["label"])
    other["revision"] = 2
    other["period"] = [SETTINGS.calendar.containing(moment).key for moment in other["label_known_at"]]
    return (
        pa.concat_tables([features, pa.Table.from_pandas(again, schema=features.schema, preserve_index=False)]),
        pa.concat_tables([labels, pa.Table.from_pandas(other, schema=labels.schema, preserve_index=False)]),
    )


@pytest.fixture(scope="module")
def world() -> tuple[pa.Table, pa.Table, Recorded]:
    features, labels = corrected()
    return features, labels, read_recorded(features, labels, SETTINGS)


@pytest.mark.parametrize("place", [1, 2, 4, 7])
def test_a_training_has_the_rows_that_the_product_would_train_on(
    world: tuple[pa.Table, pa.Table, Recorded], place: int
) -> None:
    features, labels, recorded = world
    period = recorded.periods[place]
    window = TrainingWindow.of(period, WINDOW, SETTINGS.training.window_months)
    theirs = build_training_set(period, window, features, labels, SETTINGS.registry).to_pandas()
    ours, rows = recorded.training_rows(period)
    assert len(theirs) > 50
    for name in ("split", "created_at", "label", "x", "c"):
        assert ours[name].tolist() == theirs[name].tolist()
    assert (recorded.frame["x"].to_numpy()[rows] == theirs["x"].to_numpy()).all()


@pytest.mark.parametrize("place", [0, 3, 7])
def test_labels_are_those_known_then(world: tuple[pa.Table, pa.Table, Recorded], place: int) -> None:
    features, labels, recorded = world
    moment = recorded.periods[place].end
    theirs = query(
        f"SELECT f.lead_id, l.label FROM features f LEFT JOIN {labels_known_at('labels', '$1')} l USING (lead_id) "
        "ORDER BY f.lead_id, f.known_at, f.period",
        {"features": features, "labels": labels},
        [moment],
    )["label"].to_pylist()
    ours = recorded.labels_at(moment)
    assert [None if np.isnan(label) else int(label) for label in ours] == theirs
    assert theirs.count(None) > 5


def test_a_corrected_label_is_no_new_one(world: tuple[pa.Table, pa.Table, Recorded]) -> None:
    _, labels, recorded = world
    begin, end = recorded.periods[1].end, recorded.periods[4].end
    told = labels.to_pandas()
    is_between = (told["label_known_at"] > begin) & (told["label_known_at"] <= end)
    assert recorded.new_labels(begin, end) == ((told["revision"] == 1) & is_between).sum()
    assert recorded.new_labels(None, end) == ((told["revision"] == 1) & (told["label_known_at"] <= end)).sum()
    assert recorded.new_labels(end, end) == 0


def test_each_lead_arrives_once_and_is_worth_what_its_deal_was(
    world: tuple[pa.Table, pa.Table, Recorded],
) -> None:
    _, labels, recorded = world
    arrived = np.concatenate([recorded.arrivals(place) for place in range(len(recorded.periods))])
    assert len(set(recorded.lead[arrived])) == len(arrived)
    assert len(arrived) + sum(map(recorded.unlabelled, range(len(recorded.periods)))) == 640
    newest = labels.to_pandas().sort_values("revision").groupby("lead_id").last()
    expected = newest["deal_value"].fillna(SETTINGS.evaluation.value_per_conversion)[newest["label"] == 1].sum()
    # A label that was taken back (last() passes over its null) leaves the lead out.
    taken = labels.to_pandas().query("label.isnull()")["lead_id"]
    expected -= newest.loc[taken, "deal_value"].fillna(10.0)[newest.loc[taken, "label"] == 1].sum()
    assert recorded.values[arrived].sum() == pytest.approx(expected)


def test_an_empty_home_is_told_what_to_do() -> None:
    features, labels = tables(months=2, leads_a_month=3)
    with pytest.raises(
        LeadScoringError, match=r"found 0 leads and 0 labels of them\. Run `lead-scoring materialize` first"
    ):
        read_recorded(features.slice(0, 0), labels, SETTINGS)
