"""Judgements on the features: nobody is missing, nothing leaks, and gaps do not grow."""

import pyarrow.compute as pc

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.features.plan import KEYS
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period

_EMPTY_SHARE_WORTH_A_LOOK = 0.99


def every_lead_has_features(installation: Installation, period: Period) -> Finding:
    """The leads of `lead_features` are exactly those of `raw_leads`."""
    raw = set(
        installation.lakehouse.read("raw_leads", periods=[period.key], columns=["lead_id"])["lead_id"].to_pylist()
    )
    built = installation.lakehouse.read("lead_features", periods=[period.key], columns=["lead_id"])[
        "lead_id"
    ].to_pylist()
    missing, strangers = raw - set(built), set(built) - raw
    if missing or strangers or len(built) != len(raw):
        return Finding(
            False,
            f"{len(missing)} leads have no features, {len(strangers)} features no lead, {len(built)} rows for {len(raw)} leads",
        )
    return Finding(True, f"{len(raw):,} leads, all with features", {"leads": len(raw)})


def no_forbidden_columns(installation: Installation, period: Period) -> Finding:
    """No column that is known only after the outcome stands among the features."""
    table = installation.lakehouse.read("lead_features", periods=[period.key])
    allowed = {*KEYS, *installation.settings.registry.features}
    strangers = [name for name in table.column_names if name not in allowed]
    if strangers:
        return Finding(False, f"columns {strangers} are not features; a model must not see them")
    return Finding(
        True, f"{len(table.column_names)} columns, all of them declared", {"columns": len(table.column_names)}
    )


def no_empty_features(installation: Installation, period: Period) -> Finding:
    """No feature is empty for nearly every lead."""
    table = installation.lakehouse.read("lead_features", periods=[period.key])
    if not table.num_rows:
        return Finding(True, "no leads in this period")
    shares = {
        name: pc.sum(pc.is_null(table[name])).as_py() / table.num_rows
        for name in installation.settings.registry.features
    }
    empty = {name: share for name, share in shares.items() if share > _EMPTY_SHARE_WORTH_A_LOOK}
    told = ", ".join(f"{name} {share:.0%} empty" for name, share in (empty or shares).items() if share)
    return Finding(not empty, told or "no gaps", shares)
