"""A window as a whole, by segment and for what is missing together; and how it is told as a long table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lead_scoring_assets.monitoring.drift.counts import Counts, total
from lead_scoring_assets.monitoring.drift.kept_counts import PeriodCounts, from_rows, summed, to_rows
from lead_scoring_assets.monitoring.drift.metrics import metric_rows
from lead_scoring_assets.monitoring.drift.reference_state import MISSINGNESS, ReferenceState
from lead_scoring_assets.monitoring.drift.row_by_row import compare_rows, reference_of_rows
from lead_scoring_assets.monitoring.drift.scan import count_rows, named
from lead_scoring_assets.monitoring.drift.verdict import Limits, measure_counts
from lead_scoring_assets.monitoring.drift.window import Groups, WindowDrift, judge_window, not_judged, nothing

LIMITS = Limits()


def leads(seed: int, rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "size": rng.lognormal(3, 1, rows),
            "calls": np.where(rng.random(rows) < 0.1, np.nan, rng.poisson(3, rows)),
            "source": rng.choice(["web", "referral", "event"], rows, p=[0.6, 0.3, 0.1]),
            "country": rng.choice(["AE", "SA"], rows),
        }
    )


@pytest.fixture(scope="module")
def reference() -> ReferenceState:
    return reference_of_rows(
        table(leads(1, 6_000)), ["size", "calls"], ["source", "country"], segments=["country", "gone"]
    )


def table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def groups_of(reference: ReferenceState, frame: pd.DataFrame) -> Groups:
    found = count_rows(reference, table(frame), by=["country"])
    return {"country": {named(group): counts for (group,), counts in found.items()}}


def judged(reference: ReferenceState, frame: pd.DataFrame) -> WindowDrift:
    rows = table(frame)
    return judge_window(
        reference,
        count_rows(reference, rows)[()],
        LIMITS,
        exact=compare_rows(reference, rows),
        groups=groups_of(reference, frame),
    )


def test_however_many_segments_are_watched_the_features_alarm_stays_the_same(reference: ReferenceState) -> None:
    frame = leads(2, 3_000).assign(size=lambda f: f["size"] * 1.3)
    window = judged(reference, frame)
    counts = count_rows(reference, table(frame))[()]
    assert window.features == measure_counts(reference, counts, LIMITS, compare_rows(reference, table(frame)))
    assert judge_window(reference, counts, LIMITS, exact=compare_rows(reference, table(frame))).segments != []
    # The segments' p-values are adjusted over all of them, so they are no smaller than those of their group alone.
    alone = measure_counts(reference.of_group("country", "AE"), groups_of(reference, frame)["country"]["AE"], LIMITS)
    mine = [each.drift for each in window.segments if each.group == "AE"]
    assert [drift.psi for drift in mine] == [drift.psi for drift in alone]
    assert all((a.adjusted_p_value or 0) >= (b.adjusted_p_value or 0) for a, b in zip(mine, alone, strict=True))


def test_the_reference_of_a_group_is_that_of_its_rows_in_the_bins_of_the_whole(reference: ReferenceState) -> None:
    frame = leads(1, 6_000)
    of_group = reference.of_group("country", "AE")
    counted = count_rows(reference, table(frame[frame["country"] == "AE"]))[()]
    assert [column.name for column in of_group.columns] == ["size", "calls", "source"]
    assert all(column.bin_counts == counted.bins[column.name] for column in of_group.columns)
    assert [column.edges for column in of_group.columns] == [column.edges for column in reference.columns[:3]]


def test_groups_that_came_or_went_are_told_and_not_judged(reference: ReferenceState) -> None:
    frame = leads(3, 3_000).assign(country=lambda f: f["country"].replace("SA", "OM"))
    found = {(each.group, each.drift.status) for each in judged(reference, frame).segments}
    assert found == {("AE", "ok"), ("OM", "not_computable"), ("SA", "insufficient_data")}


def test_a_vanished_category_is_named_with_the_share_it_had(reference: ReferenceState) -> None:
    frame = leads(4, 3_000)
    frame = frame[frame["source"] != "event"]
    source = judged(reference, frame).features[2]
    before = dict(zip(reference.columns[2].bin_labels, reference.columns[2].bin_counts, strict=True))
    assert source.vanished_categories == "event"
    assert source.vanished_category_share == pytest.approx(before["event"] / 6_000, abs=1e-12)
    rows = metric_rows(judged(reference, frame))
    [told] = [r["reason"] for r in rows if r["metric"] == "vanished_category_share" and r["feature"] == "source"]
    assert told == "No row any more: event."


def test_a_category_of_which_few_rows_were_expected_has_not_vanished() -> None:
    before = pa.table({"c": ["a"] * 9_800 + ["rare"] * 200})
    state = reference_of_rows(before, [], ["c"])
    # Two in a hundred: of 240 rows 4.8 are expected, of 260 rows 5.2.
    for n, gone in ((240, ""), (260, "rare")):
        [found] = measure_counts(state, count_rows(state, pa.table({"c": ["a"] * n}))[()], LIMITS)
        assert found.vanished_categories == gone


def test_a_window_is_the_sum_of_its_periods_in_any_order_through_the_table(reference: ReferenceState) -> None:
    frames = [leads(seed, 400) for seed in (5, 6, 7)]
    parts = [PeriodCounts(count_rows(reference, table(f))[()], groups_of(reference, f)) for f in frames]
    whole = pd.concat(frames)
    expected = PeriodCounts(count_rows(reference, table(whole))[()], groups_of(reference, whole))
    kept = [from_rows(list(to_rows(reference, part))) for part in parts]
    assert kept == parts
    assert summed(kept) == summed(parts[::-1]) == expected
    assert total([nothing(reference), expected.whole]) == expected.whole


def test_what_could_not_be_counted_survives_the_table(reference: ReferenceState) -> None:
    frame = leads(8, 300).drop(columns="calls")
    part = PeriodCounts(count_rows(reference, table(frame))[()])
    assert set(part.whole.problems) == {"calls", MISSINGNESS}
    assert from_rows(list(to_rows(reference, part))) == part


def test_the_long_table_holds_every_number_once_with_its_verdict(reference: ReferenceState) -> None:
    frame = leads(9, 3_000).assign(size=lambda f: f["size"] * 5)
    window = judged(reference, frame)
    rows = list(metric_rows(window))
    keys = [tuple(row.get(name) for name in ("scope", "segment", "segment_group", "feature", "metric")) for row in rows]
    assert len(set(keys)) == len(keys)
    by_key = dict(zip(keys, rows, strict=True))
    size = window.features[0]
    psi = by_key["feature", None, None, "size", "psi"]
    assert (psi["value"], psi["effect"], psi["adjusted_p"]) == (
        size.psi,
        size.psi_debiased,
        size.minimum_effect_p_value,
    )
    assert by_key["feature", None, None, "size", "wasserstein_sd"]["value"] == size.wasserstein_sd
    assert by_key["segment", "country", "AE", "size", "psi"]["status"] == "drift"
    assert by_key["missingness", None, None, MISSINGNESS, "psi"]["status"] == "ok"
    overall = by_key["overall", None, None, None, "psi"]
    assert overall["value"] == pytest.approx(np.mean([drift.psi for drift in window.features]), abs=1e-12)
    assert overall["status"] == "drift"
    assert by_key["overall", None, None, None, "share_drifted"]["value"] == 0.25


def test_a_metric_without_a_value_says_why_and_is_never_ok(reference: ReferenceState) -> None:
    window = judged(reference, leads(10, 3_000).assign(calls=np.nan))
    assert window.features[1].status == "drift"
    rows = [row for row in metric_rows(window) if row.get("value") is None]
    assert {(row["metric"], row["feature"], row["status"]) for row in rows if row["scope"] == "feature"} == {
        ("ks", "calls", "not_computable"),
        ("wasserstein_sd", "calls", "not_computable"),
    }
    assert "holds no finite value" in rows[0]["reason"]
    constant = reference_of_rows(pa.table({"x": [1.0] * 300}), ["x"], [])
    now = pa.table({"x": [2.0] * 300})
    found = judge_window(constant, count_rows(constant, now)[()], LIMITS, exact=compare_rows(constant, now))
    [told] = [row for row in metric_rows(found) if row["metric"] == "wasserstein_sd"]
    assert (told["status"], told["reason"][:31]) == ("not_computable", "x is constant in the reference,")


def test_nothing_is_told_as_nothing(reference: ReferenceState) -> None:
    """A window that nobody could judge has no number, no `ok`, and a reason in every row."""
    few = judge_window(reference, replace(nothing(reference), n_rows=3), LIMITS)
    gone = not_judged({"size": "numeric"}, 700, "its rows are gone")
    missing = judge_window(
        reference, Counts(500, problems=dict.fromkeys(nothing(reference).bins, "unreadable")), LIMITS
    )
    for window, status in ((few, "insufficient_data"), (gone, "not_computable"), (missing, "not_computable")):
        rows = list(metric_rows(window))
        assert {row["status"] for row in rows if row["scope"] != "segment"} == {status}
        assert not any("value" in row for row in rows)
        assert all(row["reason"] for row in rows)
