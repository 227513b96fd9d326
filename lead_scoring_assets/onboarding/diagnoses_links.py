"""How the tables fit each other: unknown leads, outcomes before their lead, what is taken back, leads that are the same."""

from lead_scoring_assets.contracts.columns import Entity
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.onboarding.diagnosis import Diagnosis, or_well
from lead_scoring_assets.onboarding.evidence import Evidence

_UNKNOWN_PROBLEM = 0.05
_TAKEN_BACK_WARNING = 0.01
_SAME_SHARE, _SAME_ROWS = 0.001, 5
_CHANCE_ROWS = 100_000
_CHANCE_FACTOR = 3
"""Columns depend on each other, so that more leads agree by chance than independent columns would make."""


def diagnose_links(evidence: Evidence) -> list[Diagnosis]:
    """Judgements on ids, on outcomes and activities against leads, and on money."""
    found = _ids(evidence) + _same_content(evidence)
    for entity in ("outcomes", "activities"):
        if entity in evidence.tables:
            found += _unknown_leads(evidence, entity)
    if "outcomes" in evidence.tables:
        found += _before_creation(evidence) + _contradictions(evidence) + _taken_back(evidence) + _currencies(evidence)
    return found


def _ids(evidence: Evidence) -> list[Diagnosis]:
    twice, example = evidence.row(
        "SELECT count(*), min(lead_id) FROM (SELECT lead_id FROM leads GROUP BY lead_id HAVING count(*) > 1)"
    )
    found = [
        Diagnosis(
            "problem",
            "id of several leads",
            evidence.subject("leads", "lead_id"),
            f"{twice:,} ids name more than one lead, such as {example!r}",
            "map a column that names one lead only to lead_id",
            {"ids": twice},
        )
    ]
    return or_well(found[: bool(twice)], "id of several leads", "raw_leads.lead_id", "every id names one lead")


def _same_content(evidence: Evidence) -> list[Diagnosis]:
    """Leads that agree in every column but their id, more of them than chance makes.

    Chance: pairs of leads × the product over the columns of the chance that two leads agree in it.
    """
    names = [
        name
        for name, column in evidence.columns("leads").items()
        if column.role != "identifier" and name not in ("lead_id", "known_at")
    ]
    n = evidence.counts["leads"]
    content = ", ".join(quoted(name) for name in names)
    extra = evidence.value(
        f"SELECT coalesce(sum(n - 1), 0)::BIGINT FROM (SELECT count(*) AS n FROM leads GROUP BY hash({content}) "  # noqa: S608
        "HAVING count(*) > 1)"
    )
    name, subject = "same lead under several ids", evidence.subject("leads")
    if extra < max(_SAME_ROWS, _SAME_SHARE * n):
        return [Diagnosis("ok", name, subject, f"{extra:,} of {n:,} leads repeat another", "", {"leads": extra})]
    expected = n * (n - 1) / 2
    every = max(1, n // _CHANCE_ROWS)
    for column in names:
        expected *= evidence.value(
            f"SELECT coalesce(sum(n * (n - 1)) / greatest(sum(n) * (sum(n) - 1), 1), 0) FROM (SELECT count(*)::DOUBLE AS n "  # noqa: S608
            f"FROM leads WHERE hash(lead_id) % {every} = 0 GROUP BY {quoted(column)})"
        )
    numbers = {"leads": extra, "by_chance": expected, "share": extra / n}
    told = f"{extra:,} of {n:,} leads agree with another in everything but their id (by chance about {expected:,.0f})"
    if extra <= _CHANCE_FACTOR * expected + _SAME_ROWS:
        return [Diagnosis("ok", name, subject, told, "", numbers)]
    remedy = "find out whether the source exports a lead twice; a repeated lead counts twice in training and in figures"
    return [Diagnosis("warning", name, subject, told, remedy, numbers)]


def _unknown_leads(evidence: Evidence, entity: Entity) -> list[Diagnosis]:
    n = evidence.counts[entity]
    unknown, example = evidence.row(
        f"SELECT count(*), min(lead_id) FROM {entity} ANTI JOIN leads_statements USING (lead_id)"  # noqa: S608  # our own name
    )
    name, subject = f"{entity} of unknown leads", evidence.subject(entity, "lead_id")
    if not unknown:
        return [Diagnosis("ok", name, subject, f"all {n:,} {entity} belong to leads that are known", "", {"rows": n})]
    return [
        Diagnosis(
            "problem" if unknown > _UNKNOWN_PROBLEM * n else "warning",
            name,
            subject,
            f"{unknown:,} of {n:,} {entity} ({unknown / n:.1%}) name a lead that has not arrived, such as {example!r}",
            f"check that leads and {entity} use the same ids, and that the export of leads reaches back as far",
            {"unknown": unknown, "share": unknown / n},
        )
    ]


def _before_creation(evidence: Evidence) -> list[Diagnosis]:
    early, n = evidence.row(
        "SELECT count_if(o.outcome_at < l.created_at), count(*) FROM (SELECT lead_id, outcome_at FROM outcomes) o "
        "JOIN (SELECT lead_id, created_at FROM leads) l USING (lead_id)"
    )
    name, subject = "outcome before its lead", evidence.subject("outcomes", "outcome_at")
    if not early:
        return [Diagnosis("ok", name, subject, f"none of {n:,} outcomes is dated before its lead", "", {"rows": n})]
    return [
        Diagnosis(
            "problem" if early > _UNKNOWN_PROBLEM * n else "warning",
            name,
            subject,
            f"{early:,} of {n:,} outcomes ({early / n:.1%}) are dated before their lead was created; they are no evidence",
            "check the time zone and the day-month order of both dates, and whether created_at is set anew by edits",
            {"early": early, "share": early / n},
        )
    ]


def _contradictions(evidence: Evidence) -> list[Diagnosis]:
    """Different outcomes of one lead that were known at the same time: nothing says which holds."""
    leads, example = evidence.row(
        f"""
        SELECT count(DISTINCT lead_id), min(lead_id) FROM (
            SELECT lead_id FROM outcomes_statements
            WHERE lead_id IN (SELECT lead_id FROM outcomes_statements GROUP BY lead_id HAVING count(*) > 1)
            GROUP BY lead_id, {_version(evidence)} HAVING count(DISTINCT outcome) > 1
        )
        """  # noqa: S608  # our own names
    )
    found = [
        Diagnosis(
            "problem",
            "contradictory outcomes",
            evidence.subject("outcomes", "outcome"),
            f"{leads:,} leads have different outcomes that were known at the same time, such as {example!r}",
            "export one row for each lead and change, with known_at = the time of the change",
            {"leads": leads},
        )
    ]
    told = "no lead has two outcomes at once"
    return or_well(found[: bool(leads)], "contradictory outcomes", "raw_outcomes.outcome", told)


def _version(evidence: Evidence) -> str:
    return "version" if "version" in evidence.tables["outcomes"].schema.names else "known_at"


def _taken_back(evidence: Evidence) -> list[Diagnosis]:
    converted, back = evidence.row(
        f"""
        SELECT coalesce(count_if(ever), 0), coalesce(count_if(ever AND last <> 'converted'), 0) FROM (
            SELECT arg_max(outcome, {_version(evidence)}) AS last, bool_or(outcome = 'converted') AS ever
            FROM outcomes_statements GROUP BY lead_id
        )
        """  # noqa: S608  # our own names
    )
    name, subject = "conversions taken back", evidence.subject("outcomes", "outcome")
    numbers = {"converted": converted, "taken_back": back}
    told = f"{back:,} of {converted:,} conversions were taken back later"
    if back <= _TAKEN_BACK_WARNING * converted:
        return [Diagnosis("ok", name, subject, told, "", numbers)]
    remedy = "agree with sales on when a conversion is final, and export it only then"
    return [Diagnosis("warning", name, subject, told, remedy, numbers)]


def _currencies(evidence: Evidence) -> list[Diagnosis]:
    found = evidence.rows(
        "SELECT coalesce(currency, 'no currency'), count(*) FROM outcomes WHERE deal_value IS NOT NULL "
        "GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    ours, name, subject = evidence.settings.currency, "currencies", evidence.subject("outcomes", "currency")
    numbers = {str(currency): float(count) for currency, count in found}
    told = ", ".join(f"{currency} {count:,}" for currency, count in found[:5])
    if not found:
        return [Diagnosis("ok", name, subject, "no outcome has a deal value", "", numbers)]
    if [currency for currency, _ in found] == [ours]:
        return [Diagnosis("ok", name, subject, f"every deal value is in {ours}", "", numbers)]
    what = f"deal values come in {len(found)} currencies" if len(found) > 1 else "deal values come in another currency"
    remedy = (
        f"convert them to {ours} before export, or set `currency` in lead_scoring.yaml; sums of a mixture mean nothing"
    )
    return [Diagnosis("warning", name, subject, f"{what} ({told}); figures are told in {ours}", remedy, numbers)]
