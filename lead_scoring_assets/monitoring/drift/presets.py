"""The thresholds of the documents beside the calibrated alarm: what each policy would say of what was measured.

Fixed thresholds ignore how many rows there were; they are computed so that people can see both. Which policy acts is a
setting. Nothing is measured here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, cast

from lead_scoring_assets.monitoring.drift.summary import Severity, severity_of_share
from lead_scoring_assets.settings import DriftPolicy

Row = Mapping[str, Any]
"""A row of `feature_drift` or `prediction_drift`, or any mapping with their names. What it lacks is not judged."""

Level = Literal["ok", "warning", "drift", "critical"]
Kind = Literal["numeric", "categorical", "score"]

_LEVELS: tuple[Level, ...] = ("ok", "warning", "drift", "critical")
_NOT_JUDGED = ("insufficient_data", "not_computable")
_FEATURES: tuple[Kind, ...] = ("numeric", "categorical")
_NUMBERS: tuple[Kind, ...] = ("numeric",)
_CATEGORIES: tuple[Kind, ...] = ("categorical",)
_SCORES: tuple[Kind, ...] = ("score",)


@dataclass(frozen=True)
class Limit:
    """From where on one figure of one kind of column is `level`: beyond `value`, by its size where that is signed."""

    metric: str
    value: float
    level: Level = "drift"
    kinds: tuple[Kind, ...] = _FEATURES
    is_floor: bool = False

    def is_crossed(self, found: float) -> bool:
        return found < self.value if self.is_floor else abs(found) > self.value


@dataclass(frozen=True)
class Preset:
    """A named policy. Without limits the calibrated alarm counts: the row's `calibrated_status`, else its status."""

    name: DriftPolicy
    limits: tuple[Limit, ...]


PRESETS: Mapping[DriftPolicy, Preset] = {
    preset.name: preset
    for preset in (
        Preset("recommended", ()),
        # Its PSI limit of 0.2 stands in a table, its code compares a Jensen-Shannon distance with 0.2: two limits.
        Preset("doc_000", (Limit("psi", 0.20), Limit("js_distance", 0.20), Limit("null_rate_change_pp", 5.0))),
        Preset(
            "doc_001",
            (
                Limit("psi", 0.10, "warning"),
                Limit("psi", 0.25),
                Limit("psi", 0.50, "critical"),
                Limit("kl_divergence", 0.10),
                Limit("ks_p_value", 0.05, kinds=_NUMBERS, is_floor=True),
                Limit("chi_square_p_value", 0.05, kinds=_CATEGORIES, is_floor=True),
            ),
        ),
        Preset(
            "doc_003",
            (
                Limit("psi", 0.20, kinds=_NUMBERS),
                Limit("psi", 0.40, "critical", kinds=_NUMBERS),
                Limit("ks_statistic", 0.10, kinds=_NUMBERS),
                Limit("chi_square_p_value", 0.05, kinds=_CATEGORIES, is_floor=True),
                Limit("ks_statistic", 0.10, kinds=_SCORES),
                Limit("ks_statistic", 0.20, "critical", kinds=_SCORES),
                Limit("mean_shift_percent", 10.0, kinds=_SCORES),
                Limit("bin_correlation", 0.90, kinds=_SCORES, is_floor=True),
            ),
        ),
    )
}


@dataclass(frozen=True)
class Judged:
    """What a policy says of one row; `level` None: the row holds nothing that it could judge by."""

    feature: str
    level: Level | None
    reason: str

    @property
    def is_drift(self) -> bool:
        return self.level in ("drift", "critical")


@dataclass(frozen=True)
class Alarm:
    """What a policy says of all rows of a period. `severity`: by the share of the judged rows that drifted."""

    policy: DriftPolicy
    would_alarm: bool
    severity: Severity
    n_judged: int
    drifted: tuple[str, ...]
    reason: str


def judge_row(preset: Preset, row: Row) -> Judged:
    """The highest level that a figure of `row` reaches, and which figures reached it."""
    feature = str(row["feature"])
    if row["status"] in _NOT_JUDGED:
        return Judged(feature, None, str(row["reason"]))
    if not preset.limits:
        return Judged(feature, cast("Level", row.get("calibrated_status") or row["status"]), str(row["reason"]))
    crossed: list[tuple[int, str]] = []
    compared = 0
    for limit in preset.limits:
        found = row.get(limit.metric)
        if row["kind"] not in limit.kinds or found is None or not isfinite(found):
            continue
        compared += 1
        if limit.is_crossed(found):
            sign = "<" if limit.is_floor else ">"
            crossed.append((_LEVELS.index(limit.level), f"{limit.metric} {found:.3g} {sign} {limit.value:g}"))
    if not compared:
        return Judged(feature, None, f"{preset.name} has no limit for what was measured of {feature}")
    if not crossed:
        return Judged(feature, "ok", f"within the limits of {preset.name}")
    highest = max(level for level, _ in crossed)
    return Judged(feature, _LEVELS[highest], ", ".join(told for level, told in crossed if level == highest))


def alarms(preset: Preset, rows: Sequence[Row]) -> Alarm:
    """Whether `preset` would alarm on the rows of one period: when anything drifted. The reason says what, and how far.

    Severity as the documents have it: of what was judged more than half drifted CRITICAL, more than a fifth HIGH, any
    MEDIUM, none LOW, nothing judged UNKNOWN; a single figure at a limit of its own that is called critical is CRITICAL too.
    """
    judged = [found for found in (judge_row(preset, row) for row in rows) if found.level is not None]
    drifted = [found for found in judged if found.is_drift]
    if not judged:
        return Alarm(
            preset.name, False, "UNKNOWN", 0, (), f"nothing of {len(rows)} could be judged: this is no all-clear"
        )
    told = f"{len(drifted)} of {len(judged)} drifted"
    if drifted:
        told += ": " + "; ".join(f"{found.feature} ({found.reason})" for found in drifted)
    is_critical = any(found.level == "critical" for found in drifted)
    severity: Severity = "CRITICAL" if is_critical else severity_of_share(len(drifted) / len(judged))
    return Alarm(preset.name, bool(drifted), severity, len(judged), tuple(found.feature for found in drifted), told)


def acting(policy: DriftPolicy, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """`rows` with the status and reason of the policy that acts, and the calibrated one as `calibrated_status`.

    Tables know three levels; what a document calls critical is `drift` in them. What a policy has no limit for keeps the
    calibrated status.
    """
    changed = []
    for row in rows:
        told = {**row, "calibrated_status": row["status"]}
        judged = judge_row(PRESETS[policy], row)
        if policy != "recommended" and judged.level is not None:
            status = "drift" if judged.is_drift else judged.level
            told |= {"status": status, "reason": f"by {policy}: {judged.reason}"}
        changed.append(told)
    return changed
