"""How good the scores of a backtest were: by policy, by period, and against the first policy on the same leads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.backtesting.walk_forward import Policy, Walked
from lead_scoring_assets.evaluation.metrics import (
    CONFIDENCE,
    Metric,
    PairedDifference,
    auc_difference,
    brier_difference,
    evaluate,
)
from lead_scoring_assets.evaluation.within_periods import (
    Positions,
    auc_within,
    auc_within_difference,
    blocks_of,
    captured_within,
)
from lead_scoring_assets.settings import Settings

ALL = "all"
_UNKNOWN = PairedDifference(np.nan, np.nan, np.nan)
_BY_PERIOD = ("auc", "brier", "mean_score", "conversion_rate")


@dataclass(frozen=True)
class Figure:
    """One figure of one policy over the leads of `period` (`all`: of every judged one), with its 95 % interval.

    `difference`: this policy minus `against` on the same leads, with its own interval; NaN where there is none. What these
    leads cannot give is NaN as well. `against`: frozen when it is among the policies, else the first of them.
    """

    policy: Policy
    period: str
    leads: int
    converted: int
    figure: str
    value: float
    low: float
    high: float
    against: str = ""
    difference: float = np.nan
    difference_low: float = np.nan
    difference_high: float = np.nan


def figures_of(walked: Walked, settings: Settings) -> list[Figure]:
    """Every policy's figures over all periods, in the order of `FIGURES`, then `_BY_PERIOD` in each period.

    `auc_within_periods` compares leads of the same period, `auc` all of them; `captured_at_capacity` is the share of the
    conversions that calling the best `evaluation.capacity_share` of each period's leads reaches, `lift_at_capacity` the
    conversion rate of those called over that of all. Intervals are of the leads, given the models and the periods.
    """
    blocks = blocks_of([str(key) for key in walked.periods])
    return [*_overall(walked, blocks, settings), *_by_period(walked, blocks)]


def _overall(walked: Walked, blocks: Sequence[Positions], settings: Settings) -> Iterator[Figure]:
    labels, evaluation = walked.labels, settings.evaluation
    captured = captured_within(
        blocks,
        labels,
        {str(name): scores for name, scores in walked.scores.items()},
        evaluation.capacity_share,
        evaluation.bootstrap_samples,
        settings.training.seed,
    )
    baseline, kept = next(iter(walked.scores.items()))
    for policy, scores in walked.scores.items():
        plain = {metric.name: metric for metric in evaluate(labels, scores)}
        found: dict[str, tuple[Metric, PairedDifference]] = {
            "auc_within_periods": (auc_within(blocks, labels, scores), _UNKNOWN),
            "auc": (plain["auc"], _UNKNOWN),
            "brier": (plain["brier"], _UNKNOWN),
            "mean_score": (plain["mean_score"], _UNKNOWN),
            "conversion_rate": (plain["conversion_rate"], _UNKNOWN),
            "captured_at_capacity": (captured.metric(policy), _UNKNOWN),
            "lift_at_capacity": (captured.lift(policy), _UNKNOWN),
        }
        if policy != baseline:
            for name, difference in (
                ("auc_within_periods", auc_within_difference(blocks, labels, scores, kept)),
                ("auc", auc_difference(labels, scores, kept)),
                ("brier", brier_difference(labels, scores, kept)),
                ("captured_at_capacity", captured.difference(policy, baseline)),
            ):
                found[name] = (found[name][0], difference)
        for name, (metric, paired) in found.items():
            yield Figure(
                *(policy, ALL, len(labels), int(labels.sum()), name),
                *(metric.value, metric.low, metric.high),
                baseline if np.isfinite(paired.value) else "",
                *(paired.value, paired.low, paired.high),
            )


def _by_period(walked: Walked, blocks: Sequence[Positions]) -> Iterator[Figure]:
    for policy, scores in walked.scores.items():
        for rows in blocks:
            labels = walked.labels[rows]
            found = {metric.name: metric for metric in evaluate(labels, scores[rows])}
            for name in _BY_PERIOD:
                spread = (found[name].value, found[name].low, found[name].high)
                yield Figure(policy, str(walked.periods[rows[0]]), len(labels), int(labels.sum()), name, *spread)


def describe(figures: Sequence[Figure], walked: Walked, settings: Settings, window_months: int | None) -> str:
    """The figures over all periods as lines of text: a table, what each policy is, and what the intervals mean."""
    overall = {(figure.figure, figure.policy): figure for figure in figures if figure.period == ALL}
    policies, share = list(walked.scores), settings.evaluation.capacity_share
    one = next(iter(overall.values()))
    rate = overall["conversion_rate", policies[0]].value
    shown = {
        "auc_within_periods": "AUC within a period",
        "auc": "AUC over all leads",
        "brier": "Brier score",
        "mean_score": "mean score",
        "captured_at_capacity": f"conversions among the best {share:.0%}",
        "lift_at_capacity": f"lift of the best {share:.0%}",
    }
    rows = [["", *policies]]
    rows += [[words, *(_told(overall[name, policy]) for policy in policies)] for name, words in shown.items()]
    if len(policies) > 1:
        compared = [name for name in shown if any(np.isfinite(overall[name, p].difference) for p in policies)]
        rows.append([f"minus {policies[0]}, on the same leads:", *("" for _ in policies)])
        rows += [[shown[name], *(_against(overall[name, policy]) for policy in policies)] for name in compared]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    table = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    keys = sorted({str(key) for key in walked.periods})
    window = "all matured leads" if window_months is None else f"those of the last {window_months} months"
    learned = {
        "frozen": "{first} and kept, on all matured leads",
        "expanding": "{first} to {last} ({n} models), on all matured leads",
        "sliding": f"{{first}} to {{last}} ({{n}} models), on {window}",
    }
    told = [
        f"{policy}: trained {learned[policy].format(n=len(walked.trained[policy]), first=trained[0], last=trained[-1])}"
        for policy in policies
        if (trained := walked.trained[policy])
    ]
    notes = f"Intervals: {CONFIDENCE:.0%}, of the leads, given the models and the periods. {settings.simulated_part}"
    judged = f"{one.leads:,} leads that arrived {keys[0]} to {keys[-1]}, {one.converted:,} converted ({rate:.1%}). "
    return "\n".join([f"{judged}Scored by models of the period before.", *table, *told, notes.rstrip()])


def _told(figure: Figure) -> str:
    if not np.isfinite(figure.value):
        return "not known"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def _against(figure: Figure) -> str:
    if not np.isfinite(figure.difference):
        return ""
    return f"{figure.difference:+.3f} [{figure.difference_low:+.3f}, {figure.difference_high:+.3f}]"
