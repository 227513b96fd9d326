"""Everything that is said of a model on the leads it is judged by, each figure with its 95 % interval."""

from dataclasses import replace

import numpy as np

from lead_scoring_assets.evaluation import probabilities, ranking, revenue
from lead_scoring_assets.evaluation.bootstrap import Bootstrap, Share, Weighted, intervals
from lead_scoring_assets.evaluation.metrics import Floats, Metric, share
from lead_scoring_assets.settings import Evaluation

_TENTH = 0.1  # always among the shares: the gate's floor asks for it


def judge(
    labels: Floats, scores: Floats, settings: Evaluation, seed: int, values: Floats | None = None
) -> list[Metric]:
    """All figures of a model on leads that no model had seen, in a fixed order; the order of the leads is irrelevant.

    `auc` · `average_precision` · `brier` · `log_loss` · `ece` · `ece_if_calibrated` · for each share of the best:
    `precision_at_5_percent`, `recall_at_…`, `lift_at_…` · `mean_score` · `conversion_rate` ·
    `expected_revenue_at_capacity`, in all, `expected_revenue_per_worked_lead` and `expected_revenue_gain_at_capacity`,
    which is what remains when as many leads in random order are taken off; all three in the currency of the values.

    The n of a precision is the leads called, of a recall and a lift the leads that converted, else all leads. A figure
    that these leads cannot give is NaN, and all are when a label or a score is no number.

    Args:
        labels: 0 or 1, shape (n,).
        scores: probabilities, shape (n,).
        settings: shares of the best leads, capacity, value of a conversion, number of resamples.
        seed: of the resamples.
        values: what each lead's deal is worth, shape (n,), NaN where not known; None: none is known.
    """
    n = len(labels)
    if not (np.isfinite(labels).all() and np.isfinite(scores).all()):
        nothing = np.empty(0)
        return [replace(metric, n=n) for metric in judge(nothing, nothing, settings, seed)]
    realised = revenue.realised_values(labels, values, settings.value_per_conversion)
    labels, scores, realised = ranking.by_score(labels, scores, realised)
    bootstrap = Bootstrap(n, settings.bootstrap_samples, seed)
    shares = sorted({*settings.top_shares, _TENTH})
    figures: dict[str, Weighted | Share] = {
        "auc": ranking.area_under_roc(labels, scores),
        "average_precision": ranking.average_precision(labels, scores),
        "brier": probabilities.brier(labels, scores),
        "log_loss": probabilities.log_loss(labels, scores),
        "mean_score": probabilities.mean_of(scores),
        "expected_revenue_at_capacity": ranking.among_best(settings.capacity_share)(realised, scores),
        "expected_revenue_gain_at_capacity": revenue.gain_over_random(settings.capacity_share)(realised, scores),
    }
    for best in shares:
        figures[named("precision", best)] = precision_at(best, labels, scores)
        figures[named("recall", best)] = Share(ranking.recall_at(best)(labels, scores), float(labels.sum()))
    found = {metric.name: metric for metric in intervals(figures, bootstrap)}
    found |= {m.name: m for m in probabilities.calibration_errors(labels, scores, settings.bootstrap_samples, seed)}
    found["conversion_rate"] = share("conversion_rate", float(labels.sum()), n)
    for best in shares:
        # Lift is recall over the share that random order reaches, which no resample changes.
        reached = n / max(1, ranking.leads_at(best, n))
        found[named("lift", best)] = _scaled(found[named("recall", best)], named("lift", best), reached)
    in_all = found["expected_revenue_at_capacity"]
    worked = max(1, ranking.leads_at(settings.capacity_share, n))
    found["expected_revenue_per_worked_lead"] = _scaled(in_all, "expected_revenue_per_worked_lead", 1 / worked)
    return [found[name] for name in _names(shares)]


def named(figure: str, best: float) -> str:
    """Such as `precision_at_10_percent`."""
    return f"{figure}_at_{100 * best:g}_percent"


def precision_at(best: float, labels: Floats, scores: Floats) -> Share:
    """Precision among the best share of the leads, as the share of the called leads that it is."""
    return Share(ranking.precision_at(best)(labels, scores), ranking.leads_at(best, len(labels)))


def _names(shares: list[float]) -> list[str]:
    return [
        *("auc", "average_precision", "brier", "log_loss", "ece", "ece_if_calibrated"),
        *(named(figure, best) for best in shares for figure in ("precision", "recall", "lift")),
        *("mean_score", "conversion_rate"),
        *(f"expected_revenue_{part}" for part in ("at_capacity", "per_worked_lead", "gain_at_capacity")),
    ]


def _scaled(metric: Metric, name: str, factor: float) -> Metric:
    return Metric(name, metric.value * factor, metric.low * factor, metric.high * factor, metric.n)
