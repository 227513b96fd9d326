"""Judgements on the scores: everyone scored once, probabilities, and not the same for everybody."""

import pyarrow.compute as pc

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployments

_ENOUGH_TO_DIFFER = 100
_FEWEST_DISTINCT_SHARE = 0.05


def every_lead_scored_once(installation: Installation, period: Period) -> Finding:
    """With a champion live, the scored leads are exactly the period's leads, each once; without one, nobody is scored."""
    lakehouse = installation.lakehouse
    champion = Deployments(lakehouse).champion_at(period.start)
    found = query(
        """
        WITH expected AS (SELECT lead_id, count(*) AS n FROM leads WHERE $1 GROUP BY lead_id),
        scored AS (SELECT lead_id, count(*) AS n FROM scores GROUP BY lead_id)
        SELECT coalesce(sum(s.n), 0)::BIGINT AS scored, coalesce(sum(e.n), 0)::BIGINT AS expected,
               count(*) FILTER (s.n IS DISTINCT FROM e.n) AS differing
        FROM expected e FULL JOIN scored s USING (lead_id)
        """,
        {
            "leads": lakehouse.scan("lead_features", periods=[period.key]),
            "scores": lakehouse.scan("lead_scores", periods=[period.key]),
        },
        [champion is not None],
    ).to_pylist()[0]
    told = f"champion v{champion.version}" if champion else "no champion yet"
    return Finding(
        not found["differing"],
        f"{found['scored']:,} scores for {found['expected']:,} leads to score ({told})",
        {"scores": found["scored"]},
    )


def scores_are_probabilities(installation: Installation, period: Period) -> Finding:
    """Every score is a number from 0 to 1."""
    scores = installation.lakehouse.read("lead_scores", periods=[period.key], columns=["probability"])["probability"]
    inside = pc.fill_null(pc.and_(pc.greater_equal(scores, 0), pc.less_equal(scores, 1)), False)
    bad = len(scores) - (pc.sum(inside).as_py() or 0)
    return Finding(not bad, f"{bad:,} of {len(scores):,} scores are not between 0 and 1")


def scores_differ(installation: Installation, period: Period) -> Finding:
    """Leads get different scores: a model that says the same of everyone, or a class instead of a probability, is broken."""
    scores = installation.lakehouse.read("lead_scores", periods=[period.key], columns=["probability"])["probability"]
    distinct = len(scores.unique())
    if len(scores) < _ENOUGH_TO_DIFFER:
        return Finding(True, f"insufficient data: {len(scores)} scores, {_ENOUGH_TO_DIFFER} needed to judge")
    passed = distinct >= _FEWEST_DISTINCT_SHARE * len(scores)
    return Finding(passed, f"{distinct:,} distinct scores among {len(scores):,} leads", {"distinct": distinct})
