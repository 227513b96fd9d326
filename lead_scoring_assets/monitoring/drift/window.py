"""One window judged as a whole, by segment, and for what is missing together. Three families of verdicts, each with its own
adjustment: however many segments are watched, the features' alarm keeps its false-alarm rate."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.exact import ExactComparison
from lead_scoring_assets.monitoring.drift.reference_state import ColumnKind, ReferenceState
from lead_scoring_assets.monitoring.drift.summary import DriftSummary, summarise_drift
from lead_scoring_assets.monitoring.drift.verdict import (
    FeatureDrift,
    Limits,
    measure_column,
    measure_counts,
    with_alarm,
)

Groups = Mapping[str, Mapping[str, Counts]]
"""By column and group, the rows of a window in a reference's bins."""


@dataclass(frozen=True)
class SegmentDrift:
    """The verdict on one feature within one group of a segment."""

    segment: str
    group: str
    drift: FeatureDrift


@dataclass(frozen=True)
class WindowDrift:
    """Everything that is said of one window.

    `features` alone decide about retraining. The verdicts of `segments` are one family over all segments, groups and
    features: they are for people who look where a change sits. `missingness` is one test (None where the reference has no
    pattern of nulls).
    """

    features: list[FeatureDrift]
    summary: DriftSummary
    missingness: FeatureDrift | None = None
    segments: list[SegmentDrift] = field(default_factory=list)


def judge_window(
    reference: ReferenceState,
    counts: Counts,
    limits: Limits,
    *,
    exact: Mapping[str, ExactComparison] | None = None,
    groups: Groups | None = None,
) -> WindowDrift:
    """The verdicts on one window: of one period, or the sum of several.

    Parameters
    ----------
    counts, groups : the window in the bins of `reference`: all rows, and the rows of each group of each segment.
    exact : of the numeric columns that were compared row by row, the comparison.
    """
    features = measure_counts(reference, counts, limits, exact)
    missingness = None
    if reference.missingness is not None:
        [missingness] = with_alarm([measure_column(reference.missingness, counts, limits)], limits)
    return WindowDrift(features, summarise_drift(features), missingness, _by_segment(reference, groups or {}, limits))


def not_judged(features: Mapping[str, ColumnKind], n_current: int, reason: str) -> WindowDrift:
    """What is said where there is no reference: of each feature that it could not be computed, and why."""
    drifts = [FeatureDrift(name, kind, 0, n_current, "not_computable", reason) for name, kind in features.items()]
    return WindowDrift(drifts, summarise_drift(drifts))


def _by_segment(reference: ReferenceState, groups: Groups, limits: Limits) -> list[SegmentDrift]:
    found: list[SegmentDrift] = []
    for segment in reference.segments:
        now = groups.get(segment, {})
        # Groups of either window: one that is new has no reference, one that vanished has no rows.
        for group in sorted({*reference.segments[segment], *now}):
            state = reference.of_group(segment, group)
            counts = now.get(group) or nothing(state)
            found += [SegmentDrift(segment, group, measure_column(c, counts, limits)) for c in state.columns]
    judged = with_alarm([each.drift for each in found], limits)
    return [SegmentDrift(old.segment, old.group, drift) for old, drift in zip(found, judged, strict=True)]


def nothing(reference: ReferenceState) -> Counts:
    """A window without rows in the bins of `reference`."""
    columns = [*reference.columns, *([reference.missingness] if reference.missingness else [])]
    return Counts(
        n_rows=0,
        bins={column.name: (0,) * len(column.bin_labels) for column in columns},
        outside={column.name: 0 for column in columns if column.kind == "numeric"},
    )
