"""What a matured cohort says of the scores at work: how many conversions those worked held, and promise against outcome."""

import numpy as np

from lead_scoring_assets.evaluation import probabilities
from lead_scoring_assets.evaluation.bootstrap import Bootstrap, Share, Weighted, intervals
from lead_scoring_assets.evaluation.judge import named, precision_at
from lead_scoring_assets.evaluation.metrics import Floats, Metric, share
from lead_scoring_assets.evaluation.ranking import among_best, by_score, leads_at, recall_at
from lead_scoring_assets.settings import Evaluation


def figures_at_work(labels: Floats, scores: Floats, settings: Evaluation, seed: int) -> list[Metric]:
    """Precision, recall and F1 when the capacity is worked, best first; calibration error; each tenth's promise and rate.
    Where the settings name an operating threshold: the recall of who works from it, and how many leads that are.

    The tenths, `mean_score_in_tenth_1` and `rate_in_tenth_1` being those of the lowest scores, are of leads by rank. Leads
    with the same score are in one, so that there can be fewer than ten.

    Args:
        labels: 0 or 1, shape (n,).
        scores: probabilities, shape (n,).
        settings: capacity, operating threshold and number of resamples.
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
    if settings.operating_threshold is not None:
        found += _from_threshold(labels, scores, settings.operating_threshold)
    return found + _tenths(labels, scores)


def recall_worked(settings: Evaluation) -> tuple[str, str]:
    """The figure by which work is judged, and in words: from the operating threshold where there is one, else at capacity."""
    if settings.operating_threshold is not None:
        return f"recall_from_{settings.operating_threshold:g}", f"recall from {settings.operating_threshold:g}"
    return named("recall", settings.capacity_share), f"recall at {settings.capacity_share:.0%}"


def f1_at(best: float, labels: Floats, scores: Floats) -> Weighted:
    """Harmonic mean of precision and recall among the best share of the leads: 2 × reached / (called + conversions)."""
    reached, called = among_best(best)(labels, scores), leads_at(best, len(labels))
    return lambda weights: 2 * reached(weights) / (called + (weights * labels).sum(axis=1))


def _from_threshold(labels: Floats, scores: Floats, threshold: float) -> list[Metric]:
    """The threshold stands in the names: cohorts that were measured from different ones are not compared."""
    called = scores >= threshold
    return [
        share(f"recall_from_{threshold:g}", float(labels[called].sum()), float(labels.sum())),
        share(f"called_from_{threshold:g}", float(called.sum()), len(labels)),
    ]


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
