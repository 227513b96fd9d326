"""What calling the best-scored leads first gave, against random order: on matured leads, with the scores of the day."""

from dataclasses import dataclass

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.evaluation import CONFIDENCE, Metric, share

CALLED_SHARE = 0.2


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


def measure_benefit(installation: Installation, called_share: float = CALLED_SHARE) -> Benefit:
    """Measured over all leads that were scored live and whose label is known; ranks are those of their own period.

    Raises:
        LeadScoringError: no scored lead has matured.
    """
    tables = {name: installation.lakehouse.read(name) for name in ("lead_scores", "ground_truth_labels")}
    found = query(
        """
        WITH matured AS (
            SELECT s.period, l.label,
                   row_number() OVER (PARTITION BY s.period ORDER BY s.rank) <= $1 * count(*) OVER (PARTITION BY s.period)
                       AS is_called
            FROM lead_scores s JOIN ground_truth_labels l USING (lead_id)
            WHERE l.matures_at <= (SELECT max(label_known_at) FROM ground_truth_labels)
        )
        SELECT list(DISTINCT period ORDER BY period) AS periods, count(*) AS leads, count_if(label = 1) AS conversions,
               count_if(is_called) AS called, count_if(is_called AND label = 1) AS conversions_called
        FROM matured
        """,
        tables,
        [called_share],
    ).to_pylist()[0]
    if not found["conversions"]:
        raise LeadScoringError(
            "no scored lead has matured with a conversion yet: results need outcomes. Materialise more."
        )
    counts = {name: int(found[name]) for name in ("leads", "conversions", "called", "conversions_called")}
    conversions, captured = counts["conversions"], counts["conversions_called"]
    return Benefit(
        periods=found["periods"],
        leads=counts["leads"],
        conversions=conversions,
        called_share=called_share,
        captured=share("captured", captured, conversions),
        rate_called=share("rate_called", captured, counts["called"]),
        rate_all=share("rate_all", conversions, counts["leads"]),
    )


def describe(benefit: Benefit) -> str:
    """The benefit in sentences, with intervals."""
    lift = benefit.rate_called.value / benefit.rate_all.value
    half_width = (benefit.rate_called.high - benefit.rate_called.low) / 2 / benefit.rate_all.value
    return (
        f"{benefit.leads:,} leads that arrived {benefit.periods[0]} to {benefit.periods[-1]}, {benefit.conversions:,} converted "
        f"({benefit.rate_all.value:.1%}).\n"
        f"Calling the best-scored {benefit.called_share:.0%} of each month first reaches {benefit.captured.value:.1%} of "
        f"the conversions [{benefit.captured.low:.1%}, {benefit.captured.high:.1%}]; random order reaches "
        f"{benefit.called_share:.0%}.\n"
        f"Of those called, {benefit.rate_called.value:.1%} convert "
        f"[{benefit.rate_called.low:.1%}, {benefit.rate_called.high:.1%}]: {lift:.1f} times the average (±{half_width:.1f}).\n"
        f"Intervals: {CONFIDENCE:.0%}, Wilson. Scores: those given when the lead arrived, by the champion of that day. "
        "Leads and outcomes are real; when an outcome became known is simulated."
    )
