"""Judgements on the business figures: they are complete and add up, the best bucket is better, conversions do not fall."""

from typing import Any

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.business.kpis import ALL, TABLE
from lead_scoring_assets.periods import Period


def buckets_add_up(installation: Installation, period: Period) -> Finding:
    """The buckets' leads, conversions and revenue, and the funnel's steps, add up to those of all leads."""
    rows = installation.lakehouse.read(TABLE, periods=[period.key]).to_pylist()
    if not rows:
        return Finding(False, "no figure was written")
    told = {(row["bucket"], row["kpi"]): row["value"] for row in rows}
    off = []
    for name in ("leads", "conversions", "revenue"):
        parts = [value or 0.0 for (bucket, kpi), value in told.items() if kpi == name and bucket != ALL]
        whole = told.get((ALL, name))
        if whole is not None and abs(sum(parts) - whole) > 1e-6 * max(1.0, abs(whole)):
            off.append(f"{name}: buckets {sum(parts):,.2f}, all {whole:,.2f}")
    steps = ("not_contacted", "undecided", "disqualified", "lost", "customers")
    left = [told.get((ALL, f"funnel_{step}")) for step in steps]
    known = [value for value in left if value is not None]
    if len(known) == len(left) and sum(known) != told[ALL, "funnel_leads"]:
        off.append(f"funnel: {dict(zip(steps, known, strict=True))} of {told[ALL, 'funnel_leads']:,.0f} leads")
    return Finding(not off, "; ".join(off) or f"{told[ALL, 'leads']:,.0f} matured leads, all figures add up")


def best_bucket_is_better(installation: Installation, period: Period) -> Finding:
    """The best bucket does not convert clearly worse than all leads (the whole interval of its lift)."""
    row = _overall(installation, period, "prioritisation_working")
    best = next(iter(installation.settings.scoring.buckets))
    rows = installation.lakehouse.read(TABLE, periods=[period.key]).to_pylist()
    lifted = next((r for r in rows if (r["bucket"], r["kpi"], r["status"]) == (best, "lift", "ok")), None)
    if lifted is None:
        return Finding(True, f"insufficient data: {row['reason']}" if row else "no figure was written")
    return Finding(lifted["high"] > 1, row["reason"] if row else "", {"lift": lifted["value"]})


def conversions_do_not_fall(installation: Installation, period: Period) -> Finding:
    """The trend of the matured cohorts' conversions is not clearly downwards (its whole interval)."""
    row = _overall(installation, period, "conversion_trend")
    if row is None or row["status"] != "ok":
        return Finding(True, f"insufficient data: {row['reason']}" if row else "no figure was written")
    odds = f"odds {row['value']:+.1%} a cohort [{row['low']:+.1%}, {row['high']:+.1%}]"
    return Finding(row["high"] >= 0, f"{row['reason']}, {odds}", {"conversion_trend": row["value"]})


def _overall(installation: Installation, period: Period, kpi: str) -> dict[str, Any] | None:
    rows = installation.lakehouse.read(TABLE, periods=[period.key]).to_pylist()
    return next((row for row in rows if (row["bucket"], row["kpi"]) == (ALL, kpi)), None)
