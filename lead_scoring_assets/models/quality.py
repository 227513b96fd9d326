"""Judgements on models: nothing leaks into training, and each loads as trained."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.errors import LakehouseError, LeakageError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.training_set import HOLDOUT, KEYS, TRAIN
from lead_scoring_assets.periods import Period


def nothing_leaks(installation: Installation, period: Period) -> Finding:
    """The training set holds features only, and no lead is both learned from and judged on."""
    rows = installation.lakehouse.read("training_set", periods=[period.key])
    names = [name for name in rows.column_names if name not in KEYS]
    try:
        installation.settings.registry.assert_no_leakage(names, "training_set")
    except LeakageError as leak:
        return Finding(False, str(leak))
    ids = rows.to_pandas()[["lead_id", "split", "created_at"]]
    train, holdout = ids[ids["split"] == TRAIN], ids[ids["split"] == HOLDOUT]
    shared = set(train["lead_id"]) & set(holdout["lead_id"])
    overlap = bool(len(train) and len(holdout) and train["created_at"].max() >= holdout["created_at"].min())
    if shared or overlap:
        return Finding(False, f"{len(shared)} leads are in both splits, training reaches into the holdout: {overlap}")
    return Finding(True, f"{len(train):,} leads to learn from, all older than the {len(holdout):,} to judge on")


def model_or_reason(installation: Installation, period: Period) -> Finding:
    """There is either a registered model that loads and scores as trained, or the reason why none was trained."""
    rows = installation.lakehouse.read("trained_model", periods=[period.key]).to_pylist()
    if len(rows) != 1:
        return Finding(False, f"{len(rows)} rows, 1 expected")
    row = rows[0]
    if row["version"] is None:
        return Finding(bool(row["refusal"]), row["refusal"] or "neither a model nor a reason")
    try:
        load_scorer(installation.home.data / row["bundle"], row["fingerprint"])
    except LakehouseError as problem:
        return Finding(False, f"v{row['version']}: {problem}")
    return Finding(True, f"v{row['version']} loads and scores its golden rows as trained")
