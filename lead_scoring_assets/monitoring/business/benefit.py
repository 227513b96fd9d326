"""What the scores gave: calling the best first against random order, and retraining against keeping the first model.
On matured leads, with the scores of the day on which each lead arrived."""

from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.evaluation.metrics import CONFIDENCE, Metric, evaluate, share
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import first_rows, labels_known_at
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.promotion.deployments import Deployment, Deployments

CALLED_SHARE = 0.2

# As known at the newest moment of which there is a label; a lead counts once, with the score of its arrival.
_NOW = "(SELECT max(label_known_at) FROM ground_truth_labels)"
MATURED = f"""matured AS (
    SELECT s.lead_id, s.period, s.priority, s.probability, l.label
    FROM {first_rows("lead_scores", "scored_at")} s
    JOIN {labels_known_at("ground_truth_labels", _NOW)} l USING (lead_id)
    WHERE l.matures_at <= {_NOW}
)"""  # noqa: S608  # only our own names are pasted in


@dataclass(frozen=True)
class Benefit:
    """Calling the best `called_share` of each period's leads, by the score they had when they arrived.

    `captured`: share of all conversions among the called (random order captures `called_share`). `rate_called` and
    `rate_all`: conversion rates. `leads`: matured, labelled, scored leads of `periods`.
    """

    periods: list[str]
    leads: int
    conversions: int
    called_share: float
    captured: Metric
    rate_called: Metric
    rate_all: Metric
    brier: Metric
    mean_score: Metric
    first_champion: Deployment
    brier_if_kept: Metric
    mean_score_if_kept: Metric
    simulated_part: str


def measure_benefit(installation: Installation, called_share: float = CALLED_SHARE) -> Benefit:
    """Measured over all leads that were scored live and whose label is known; ranks are those of their own period.

    Raises:
        LeadScoringError: no scored lead has matured.
    """
    lakehouse = installation.lakehouse
    tables = {name: lakehouse.scan(name) for name in ("lead_scores", "ground_truth_labels", "lead_features")}
    found = query(
        f"""
        WITH {MATURED}, ranked AS (
            SELECT period, label,
                   row_number() OVER (PARTITION BY period ORDER BY priority) <= $1 * count(*) OVER (PARTITION BY period)
                       AS is_called
            FROM matured
        )
        SELECT list(DISTINCT period ORDER BY period) AS periods, count(*) AS leads,
               count(*) FILTER (label = 1) AS conversions, count(*) FILTER (is_called) AS called,
               count(*) FILTER (is_called AND label = 1) AS conversions_called
        FROM ranked
        """,  # noqa: S608  # only our own names are pasted in
        tables,
        [called_share],
    ).to_pylist()[0]
    if not found["conversions"]:
        raise LeadScoringError(
            "no scored lead has matured with a conversion yet: results need outcomes. Materialise more."
        )
    counts = {name: int(found[name]) for name in ("leads", "conversions", "called", "conversions_called")}
    conversions, captured = counts["conversions"], counts["conversions_called"]
    # The first champion deployed, on the same leads: what would have been said without any retraining.
    first = Deployments(lakehouse).history()[0]
    same = query(
        f"WITH {MATURED} SELECT f.*, m.probability, m.label FROM matured m JOIN lead_features f USING (lead_id, period) "  # noqa: S608
        "ORDER BY lead_id",
        tables,
    ).to_pandas()
    labels = same["label"].to_numpy(dtype=np.float64)
    kept = load_scorer(first.folder(installation.home.data), first.fingerprint).probabilities(same)
    given = {metric.name: metric for metric in evaluate(labels, same["probability"].to_numpy(dtype=np.float64))}
    if_kept = {metric.name: metric for metric in evaluate(labels, kept)}
    return Benefit(
        periods=found["periods"],
        leads=counts["leads"],
        conversions=conversions,
        called_share=called_share,
        captured=share("captured", captured, conversions),
        rate_called=share("rate_called", captured, counts["called"]),
        rate_all=share("rate_all", conversions, counts["leads"]),
        brier=given["brier"],
        mean_score=given["mean_score"],
        first_champion=first,
        brier_if_kept=if_kept["brier"],
        mean_score_if_kept=if_kept["mean_score"],
        simulated_part=installation.settings.simulated_part,
    )


def describe(benefit: Benefit) -> str:
    """The benefit in sentences, with intervals."""
    lift = benefit.rate_called.value / benefit.rate_all.value
    called = f"the best-scored {benefit.called_share:.0%} of each month"
    first = benefit.first_champion
    return "\n".join(
        [
            (
                f"{benefit.leads:,} leads that arrived {benefit.periods[0]} to {benefit.periods[-1]}, "
                f"{benefit.conversions:,} converted ({benefit.rate_all.value:.1%})."
            ),
            (
                f"Calling {called} first reaches {_told(benefit.captured)} of the conversions; "
                f"random order reaches {benefit.called_share:.0%}."
            ),
            f"Of those called, {_told(benefit.rate_called)} convert: {lift:.2f} times the average.",
            (
                f"The scores promised {benefit.mean_score.value:.1%} on average; had the first champion (v{first.version}, "
                f"{first.period}) been kept, {benefit.mean_score_if_kept.value:.1%}."
            ),
            f"Brier score {_plain(benefit.brier)}; had the first champion been kept, {_plain(benefit.brier_if_kept)}.",
            (
                f"Intervals: {CONFIDENCE:.0%}. Scores: those given when the lead arrived, by the champion of that day. "
                f"{benefit.simulated_part}"
            ).rstrip(),
        ]
    )


def _told(metric: Metric) -> str:
    return f"{metric.value:.1%} [{metric.low:.1%}, {metric.high:.1%}]"


def _plain(metric: Metric) -> str:
    return f"{metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}]"
