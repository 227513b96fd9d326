"""What a matured cohort says of the scores at work: how many conversions the capacity reached, and promise against outcome."""

import numpy as np

from lead_scoring_assets.evaluation import probabilities
from lead_scoring_assets.evaluation.bootstrap import Bootstrap, Share, Weighted, intervals
from lead_scoring_assets.evaluation.judge import named, precision_at
from lead_scoring_assets.evaluation.metrics import Floats, Metric, share
from lead_scoring_assets.evaluation.ranking import among_best, by_score, leads_at, recall_at
from lead_scoring_assets.settings import Evaluation


def figures_at_work(labels: Floats, scores: Floats, settings: Evaluation, seed: int) -> list[Metric]:
    """Precision, recall and F1 when the capacity is worked, best first; calibration error; each tenth's promise and rate.

    The tenths, `mean_score_in_tenth_1` and `rate_in_tenth_1` being those of the lowest scores, are of leads by rank. Leads
    with the same score are in one, so that there can be fewer than ten.

    Args:
        labels: 0 or 1, shape (n,).
        scores: probabilities, shape (n,).
        settings: capacity and number of resamples.
        seed: of the resamples.
    """
    labels, scores = by_score(labels, scores)
    capacity, samples = settings.capacity_share, settings.bootstrap_samples
    figures: dict[str, Weighted | Share] = {
        named("precision", capacity): precision_at(capacity, labels, scores),
        named("recall", capacity): Share(recall_at(capacity)(labels, scores), float(labels.sum())),
        named("f1", capacity): f1_at(capacity, labels, scores),
    }
    found = intervals(figures, Bootstrap(len(labels), samples, seed))
    found += probabilities.calibration_errors(labels, scores, samples, seed)
    return found + _tenths(labels, scores)


def f1_at(best: float, labels: Floats, scores: Floats) -> Weighted:
    """Harmonic mean of precision and recall among the best share of the leads: 2 × reached / (called + conversions)."""
    reached, called = among_best(best)(labels, scores), leads_at(best, len(labels))
    return lambda weights: 2 * reached(weights) / (called + (weights * labels).sum(axis=1))


def _tenths(labels: Floats, scores: Floats) -> list[Metric]:
    if not len(labels):
        return []
    found = probabilities.calibration(labels, scores)
    rows = []
    for place, (n, promised, rate) in enumerate(zip(found.n, found.mean_score, found.rate, strict=True), start=1):
        # Of these leads the scores are known without error.
        rows.append(Metric(f"mean_score_in_tenth_{place}", promised, promised, promised, int(n)))
        rows.append(share(f"rate_in_tenth_{place}", float(np.round(rate * n)), int(n)))
    return rows
