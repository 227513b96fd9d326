"""Judgements on what is watched: every question answered or refused with a reason, and whether people should look."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.drift.calibration import QUESTIONS
from lead_scoring_assets.monitoring.drift.concept import RATE, SCORE
from lead_scoring_assets.monitoring.drift.lasting import LOUD, SILENT, is_broken, loud_since
from lead_scoring_assets.monitoring.drift.presets import PRESETS
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployments


def everything_watched(installation: Installation, period: Period) -> Finding:
    """Each question about scores, promises, outcomes and policies has one row, also where the answer is not known."""
    lakehouse = installation.lakehouse
    policies = lakehouse.read("drift_policies", periods=[period.key], columns=["scope", "policy"]).to_pylist()
    expected = {
        "calibration_drift": sorted(QUESTIONS),
        "concept_drift": sorted((RATE, SCORE, *installation.settings.registry.features)),
    }
    found = {
        table: sorted(lakehouse.read(table, periods=[period.key], columns=["feature"])["feature"].to_pylist())
        for table in expected
    }
    wrong = [table for table in expected if found[table] != expected[table]]
    wrong += [
        table
        for table in ("prediction_drift", "importance_drift")
        if not lakehouse.read(table, periods=[period.key], columns=["feature"]).num_rows
    ]
    if sorted((row["scope"], row["policy"]) for row in policies) != sorted(
        (scope, policy) for scope in ("features", "scores") for policy in PRESETS
    ):
        wrong.append("drift_policies")
    told = f"not one row for each question in {', '.join(wrong)}: materialise the period again"
    return Finding(not wrong, told if wrong else "every question has one row")


def health_complete(installation: Installation, period: Period) -> Finding:
    """Every feature's missing values are judged, and how many leads came."""
    rows = installation.lakehouse.read("data_health", periods=[period.key]).to_pylist()
    judged = {row["subject"] for row in rows if row["measure"] == "missing"}
    missing = sorted(set(installation.settings.registry.features) - judged)
    volumes = sum(row["measure"] == "volume" for row in rows)
    sentence = f"{len(rows)} figures, {volumes} volume, features without a row: {missing or 'none'}"
    return Finding(not missing and volumes == 1, sentence)


def scores_as_on_the_holdout(installation: Installation, period: Period) -> Finding:
    """The live model's scores are spread as they were on its holdout."""
    return _calm(installation, "prediction_drift", period)


def promise_kept(installation: Installation, period: Period) -> Finding:
    """As many of the newest matured leads converted as the champion's scores promise, and as differently."""
    return _calm(installation, "calibration_drift", period)


def outcomes_follow_scores(installation: Installation, period: Period) -> Finding:
    """What makes a lead convert is what it was on the champion's holdout."""
    return _calm(installation, "concept_drift", period)


def scored_for_the_same_reasons(installation: Installation, period: Period) -> Finding:
    """What drives the live model's scores is what drove them on its holdout."""
    return _calm(installation, "importance_drift", period)


def arrivals_as_usual(installation: Installation, period: Period) -> Finding:
    """What arrived is as whole, and as much, as in earlier periods."""
    return _calm(installation, "data_health", period, ("measure", "subject"))


def _calm(installation: Installation, table: str, period: Period, subject: tuple[str, ...] = ("feature",)) -> Finding:
    """Nothing is loud, and not all of it is beyond measuring while a model is live. What is new is told with its numbers, what
    lasts with its beginning, what is not judged by how much."""
    rows = installation.lakehouse.read(table, periods=[period.key]).to_pylist()
    # What came to nothing where nothing was expected either is LOW, and calm.
    loud = [row for row in rows if row["status"] in LOUD and row["severity"] != "LOW"]
    silent = [row for row in rows if row["status"] in SILENT]
    since = loud_since(installation, table, period, subject) if loud else {}
    named = [(row, tuple(row[name] for name in subject)) for row in loud]
    new = [f"{' '.join(who)} {row['status']}: {row['reason']}" for row, who in named if who not in since]
    lasting = [f"{' '.join(who)} still {row['status']} since {since[who]}" for row, who in named if who in since]
    judged = len(rows) - len(silent)
    told = [*new, *lasting] or ([f"nothing to tell of {judged} judged figures"] if judged else [])
    if silent:
        told.append(f"{len(silent)} of {len(rows)} could not be judged ({silent[0]['reason']})")
    is_live = Deployments(installation.lakehouse).champion_at(period.start) is not None
    is_calm = not loud and not (is_live and is_broken(silent, len(rows)))
    return Finding(is_calm, "; ".join(told), {"loud": len(loud), "new": len(new), "not_judged": len(silent)})
