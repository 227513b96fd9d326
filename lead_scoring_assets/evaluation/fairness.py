"""Whether the leads that are worked at capacity are chosen alike among the groups of each attribute that is watched.

A gap is a question to people, not an answer: groups may differ in what they want. Nothing here changes a score.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.evaluation.fairness_groups import groups_of, selected_share
from lead_scoring_assets.evaluation.fairness_intervals import Counts, draw_counts, largest_difference, smallest_ratio
from lead_scoring_assets.evaluation.fairness_thresholds import ThresholdReport, per_group_thresholds
from lead_scoring_assets.evaluation.means import mean_interval
from lead_scoring_assets.evaluation.metrics import Floats, Metric, share
from lead_scoring_assets.settings import Evaluation

Verdict = Literal["ok", "gap", "insufficient_data"]

MINIMUM_CASES = 20
"""Converted (for the true positive rate) and other (for the false positive rate) matured leads a group needs."""
_UNKNOWN = 2  # the place of the leads without a label, after not converted (0) and converted (1)


@dataclass(frozen=True)
class GroupFairness:
    """Figures of one group. `unknown` of its `n` leads have no label yet: only the selection rate counts them."""

    group: str
    n: int
    unknown: int
    is_compared: bool
    selection_rate: Metric
    true_positive_rate: Metric
    false_positive_rate: Metric
    base_rate: Metric
    mean_score: Metric
    calibration_gap: Metric


@dataclass(frozen=True)
class AttributeFairness:
    """One attribute: its groups, how far apart they are, and the verdict in a sentence.

    `thresholds`: what a threshold for each group would change, where the settings ask for it.
    """

    attribute: str
    verdict: Verdict
    sentence: str
    groups: list[GroupFairness]
    demographic_parity_difference: Metric
    demographic_parity_ratio: Metric
    equalised_odds_difference: Metric
    thresholds: ThresholdReport | None = None


def watched_attributes(registry: Registry, settings: Evaluation) -> list[str]:
    """Lead columns with `role: sensitive`, and those that `evaluation.fairness` names, in registry order."""
    return [
        name
        for name, column in registry.lead_columns.items()
        if column.role == "sensitive" or name in settings.fairness
    ]


def assess_fairness(
    rows: pd.DataFrame,
    labels: Floats,
    scores: Floats,
    registry: Registry,
    settings: Evaluation,
    seed: int,
) -> list[AttributeFairness]:
    """Fairness by every watched attribute that `rows` holds, in registry order.

    Demographic parity: how many of each group are selected. Equalised odds (Hardt, Price and Srebro 2016): how many of
    those who converted (true positive rate) and of those who did not (false positive rate) are selected. Selected is
    the best `capacity_share` of all rows; the border is taken as it is, not resampled.

    Verdict: `gap` when a figure and the near bound of its 95 % interval both pass the limit; `insufficient_data` when
    fewer than two groups can be compared, or a figure passes the limit and its interval does not; else `ok`. The figure
    alone gives alarms on noise: where five groups of 200 leads do not differ and a fifth is selected, it passes a limit
    in 98 of 100 simulated worlds, and the near bound of a percentile interval does in 25; this rule gives an alarm in
    1. Where the true difference is the limit itself, it gives one in 2 or 3.

    Args:
        rows: leads, with the columns of the attributes; shape (n, …).
        labels: 1 converted, 0 not, NaN not yet known; shape (n,).
        scores: probabilities, shape (n,).
        registry: names the sensitive columns and says what each may hold.
        settings: further attributes and their bands, capacity, smallest group, limits and resamples.
        seed: of the resamples.
    """
    selected = selected_share(scores, settings.capacity_share)
    found = []
    for name in [name for name in watched_attributes(registry, settings) if name in rows]:
        told = settings.fairness.get(name)
        groups = groups_of(rows[name], registry.lead_columns[name], (told and told.bands) or None)
        found.append(_assess(name, groups, selected, labels, scores, settings, seed))
    return found


def _assess(
    attribute: str,
    groups: pd.Series,
    selected: Floats,
    labels: Floats,
    scores: Floats,
    settings: Evaluation,
    seed: int,
) -> AttributeFairness:
    told = [
        _group(str(group), (groups == group).to_numpy(), selected, labels, scores, settings.minimum_group_rows)
        for group in groups.cat.categories
    ]
    apart = _apart(groups, [group for group in told if group.is_compared], selected, labels, settings, seed)
    verdict = _verdict(*apart, settings)
    sentence = _sentence(attribute, verdict, told, apart, settings)
    thresholds = None
    if settings.group_thresholds:
        thresholds = per_group_thresholds(groups, labels, scores, settings.capacity_share)
    return AttributeFairness(attribute, verdict, sentence, told, *apart, thresholds)


def _group(
    name: str, members: npt.NDArray[np.bool_], selected: Floats, labels: Floats, scores: Floats, minimum_rows: int
) -> GroupFairness:
    chosen, label, score = selected[members], labels[members], scores[members]
    known = ~np.isnan(label)
    return GroupFairness(
        group=name,
        n=len(label),
        unknown=int((~known).sum()),
        is_compared=len(label) >= minimum_rows,
        selection_rate=share("selection_rate", float(chosen.sum()), len(chosen)),
        true_positive_rate=share("true_positive_rate", float(chosen[label == 1].sum()), int((label == 1).sum())),
        false_positive_rate=share("false_positive_rate", float(chosen[label == 0].sum()), int((label == 0).sum())),
        base_rate=share("base_rate", float(label[known].sum()), int(known.sum())),
        mean_score=Metric("mean_score", *mean_interval(score), len(score)),
        calibration_gap=Metric("calibration_gap", *mean_interval(score[known] - label[known]), int(known.sum())),
    )


def _apart(
    groups: pd.Series,
    compared: list[GroupFairness],
    selected: Floats,
    labels: Floats,
    settings: Evaluation,
    seed: int,
) -> tuple[Metric, Metric, Metric]:
    """Demographic parity difference and ratio, and equalised odds difference, over the groups that are compared."""
    places = pd.Index([group.group for group in compared]).get_indexer(pd.Index(groups.astype(str)))
    kept = places >= 0
    parity = ratio = odds = (np.nan, np.nan, np.nan)
    matured = 0
    if len(compared) >= 2:
        weights, chosen = np.unique(selected[kept], return_inverse=True)
        outcomes = np.where(np.isnan(labels[kept]), _UNKNOWN, labels[kept]).astype(np.intp)
        cells = np.zeros((len(compared), len(weights), 3), dtype=np.int64)
        np.add.at(cells, (places[kept], chosen, outcomes), 1)
        drawn = draw_counts(cells, settings.bootstrap_samples, seed)
        everyone = [_counts(part, weights, [[0, 1, _UNKNOWN]]) for part in (cells, drawn)]
        parity, ratio = largest_difference(*everyone), smallest_ratio(*everyone)
        usable = (cells.sum(axis=1)[:, :_UNKNOWN] >= MINIMUM_CASES).all(axis=1)
        if usable.sum() >= 2:
            converted_and_others = [[1], [0]]
            odds = largest_difference(
                *(_counts(part[..., usable, :, :], weights, converted_and_others) for part in (cells, drawn))
            )
            matured = int(cells[usable][..., :_UNKNOWN].sum())
    return (
        Metric("demographic_parity_difference", *parity, int(kept.sum())),
        Metric("demographic_parity_ratio", *ratio, int(kept.sum())),
        Metric("equalised_odds_difference", *odds, matured),
    )


def _counts(cells: npt.NDArray[np.int64], weights: Floats, rates: list[list[int]]) -> Counts:
    """Selected leads among those with the outcomes of each rate.

    `cells`: leads by group, how far they are selected (`weights`) and outcome, perhaps by resample before these.
    """
    leads = [cells[..., outcomes].sum(axis=-1) for outcomes in rates]
    return Counts(
        hits=np.stack([part @ weights for part in leads], axis=-2),
        cases=np.stack([part.sum(axis=-1).astype(np.float64) for part in leads], axis=-2),
    )


def _verdict(parity: Metric, ratio: Metric, odds: Metric, settings: Evaluation) -> Verdict:
    gap, least = settings.maximum_fairness_gap, settings.minimum_fairness_ratio
    if not isfinite(parity.value):
        return "insufficient_data"
    if parity.low > gap or odds.low > gap or ratio.high < least:
        return "gap"
    if parity.value > gap or odds.value > gap or ratio.value < least:
        return "insufficient_data"
    return "ok"


def _sentence(
    attribute: str, verdict: Verdict, groups: list[GroupFairness], apart: tuple[Metric, ...], settings: Evaluation
) -> str:
    compared = sorted((group for group in groups if group.is_compared), key=lambda group: group.selection_rate.value)
    small = [f"{group.group} (n={group.n:,})" for group in groups if not group.is_compared]
    left_out = f"; left out below {settings.minimum_group_rows:,} leads: {', '.join(small)}" if small else ""
    if len(compared) < 2:
        return f"{attribute}: insufficient data, {len(compared)} group(s) can be compared, 2 are needed{left_out}"
    ends = " to ".join(f"{g.selection_rate.value:.1%} of {g.group} (n={g.n:,})" for g in (compared[0], compared[-1]))
    parity, ratio, odds = (
        f"{m.value:.3f} ({m.low:.3f} to {m.high:.3f})" if isfinite(m.value) else "not known" for m in apart
    )
    judged = {
        "ok": "ok",
        "gap": "gap",
        "insufficient_data": "insufficient data, a figure passes its limit but its interval does not",
    }[verdict]
    return (
        f"{attribute}: {judged}; selected are {ends}; difference {parity} and equalised odds difference {odds}, limit "
        f"{settings.maximum_fairness_gap:g}; ratio {ratio}, limit {settings.minimum_fairness_ratio:g}{left_out}"
    )
