"""Counts as rows of the table `feature_counts`, and back: what a week or a quarter held is summed, not read again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.monitoring.drift.counts import Counts, total
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceState
from lead_scoring_assets.monitoring.drift.window import Groups

TABLE = "feature_counts"


@dataclass(frozen=True)
class PeriodCounts:
    """One period in the bins of a reference: all rows, and those of each group of each segment."""

    whole: Counts
    groups: Groups = field(default_factory=dict)


def summed(parts: Sequence[PeriodCounts]) -> PeriodCounts:
    """Several periods together."""
    by_group: dict[str, dict[str, list[Counts]]] = {}
    for part in parts:
        for segment, groups in part.groups.items():
            for group, counts in groups.items():
                by_group.setdefault(segment, {}).setdefault(group, []).append(counts)
    return PeriodCounts(
        total(part.whole for part in parts),
        {s: {group: total(counts) for group, counts in groups.items()} for s, groups in by_group.items()},
    )


def to_rows(reference: ReferenceState, counted: PeriodCounts) -> Iterator[dict[str, Any]]:
    """One row a feature of the whole and of each group; `bins` names the bins and `bin_rows` holds their rows."""
    labels = {column.name: list(column.bin_labels) for column in reference.columns}
    if reference.missingness:
        labels[reference.missingness.name] = list(reference.missingness.bin_labels)
    groups = [(segment, group, c) for segment, found in counted.groups.items() for group, c in found.items()]
    for segment, group, counts in [("", "", counted.whole), *groups]:
        base = {"segment": segment, "segment_group": group, "n_rows": counts.n_rows}
        for feature in labels:
            yield {
                **base,
                "feature": feature,
                "bins": labels[feature],
                "bin_rows": list(counts.bins[feature]) if feature in counts.bins else None,
                "outside": counts.outside.get(feature),
                "problem": counts.problems.get(feature),
            }


def from_rows(rows: Iterable[Mapping[str, Any]]) -> PeriodCounts:
    """Inverse of `to_rows` for one period."""
    of_group: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        of_group.setdefault((row["segment"], row["segment_group"]), []).append(row)
    whole = _counts(of_group.pop(("", "")))
    groups: dict[str, dict[str, Counts]] = {}
    for (segment, group), found in of_group.items():
        groups.setdefault(segment, {})[group] = _counts(found)
    return PeriodCounts(whole, groups)


def kept_counts(lakehouse: Lakehouse, reference_id: str, periods: Sequence[str]) -> dict[str, PeriodCounts]:
    """Of those of `periods` that were counted in the bins of this reference before, what was counted."""
    if not periods or not lakehouse.exists(TABLE):
        return {}
    rows = query(
        "FROM kept WHERE reference_id = $1 ORDER BY period",
        {"kept": lakehouse.scan(TABLE, periods=periods)},
        [reference_id],
    ).to_pylist()
    by_period: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_period.setdefault(row["period"], []).append(row)
    return {period: from_rows(found) for period, found in by_period.items()}


def _counts(rows: Sequence[Mapping[str, Any]]) -> Counts:
    return Counts(
        n_rows=rows[0]["n_rows"],
        bins={row["feature"]: tuple(row["bin_rows"]) for row in rows if row["bin_rows"] is not None},
        outside={row["feature"]: row["outside"] for row in rows if row["outside"] is not None},
        problems={row["feature"]: row["problem"] for row in rows if row["problem"] is not None},
    )
