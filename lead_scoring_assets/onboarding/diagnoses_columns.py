"""What is wrong with single columns: broken contracts, missing values, constants, identifiers, texts that are formulas."""

from collections.abc import Sequence
from typing import Any

from lead_scoring_assets.contracts.columns import Column, Entity
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.onboarding.diagnosis import Diagnosis, insufficient, or_well
from lead_scoring_assets.onboarding.evidence import Evidence

_MISSING_WARNING, _MISSING_PROBLEM = 0.10, 0.50
_NEARLY_CONSTANT = 0.99
_MANY_CATEGORIES, _MANY_CATEGORIES_SHARE = 50, 0.05
_ENOUGH_ROWS = 50
"""Fewer rows say nothing about the shape of a column."""
_UNIQUE_SHARE = 0.95
_SENTINEL_SHARE, _SENTINEL_ROWS = 0.01, 5
# A spreadsheet runs these; a signed number or a telephone number it merely shows.
_FORMULA = (
    "CASE WHEN left({value}, 1) IN ('=', '@', '+', '-') "
    "THEN NOT regexp_full_match({value}, '[+-][0-9 ().,/-]*') ELSE false END"
)


def diagnose_columns(evidence: Evidence) -> list[Diagnosis]:
    """Judgements on every column of every table that is there."""
    found = _columns_there(evidence)
    facts = {entity: _facts(evidence, entity) for entity in evidence.tables}
    found += _texts(evidence, facts)
    found += _contract(evidence, facts)
    if not evidence.counts["leads"]:
        return [*found, insufficient("features", "raw_leads", "there is no lead")]
    return found + _missing(evidence, facts["leads"]) + _shapes(evidence)


Facts = dict[str, dict[str, Any]]
"""By column, by what was counted."""


def _facts(evidence: Evidence, entity: Entity) -> Facts:
    """One pass over a table: for each column how many values there are, and how many break their contract."""
    aggregates: list[tuple[str, str, str]] = []
    parameters: list[object] = []
    for name, column in evidence.columns(entity).items():
        value = quoted(name)
        aggregates.append((name, "present", f"count({value})"))
        if column.is_numeric:
            aggregates.append((name, "infinite", f"count_if(NOT isfinite({value}))"))
            for what, limit, sign in (("below", column.minimum, "<"), ("above", column.maximum, ">")):
                if limit is not None:
                    parameters.append(limit)
                    aggregates.append((name, what, f"count_if(isfinite({value}) AND {value} {sign} ?)"))
            aggregates.append((name, "least", f"min({value}) FILTER (isfinite({value}))"))
            aggregates.append((name, "most", f"max({value}) FILTER (isfinite({value}))"))
        elif column.categories:
            aggregates.append((name, "unknown", f"count_if({_unknown(name, column)})"))
            parameters += column.categories
        elif column.kind in ("text", "category"):
            aggregates.append((name, "formulas", f"count_if({_FORMULA.format(value=value)})"))
    found = evidence.row(f"SELECT {', '.join(sql for _, _, sql in aggregates)} FROM {entity}", parameters)  # noqa: S608
    facts: Facts = {}
    for (name, what, _), value in zip(aggregates, found, strict=True):
        facts.setdefault(name, {})[what] = value
    return facts


def _unknown(name: str, column: Column) -> str:
    return f"{quoted(name)} NOT IN ({', '.join('?' * len(column.categories))})"


def _columns_there(evidence: Evidence) -> list[Diagnosis]:
    found = [
        Diagnosis(
            "problem",
            "missing column",
            evidence.subject(entity, name),
            f"the column {name} is required and not there at all",
            f"name their column in sources.{entity}.rename, or declare {name} `required: false`",
        )
        for entity in evidence.tables
        for name in evidence.missing_columns(entity)
    ]
    return or_well(found, "missing column", "raw tables", "every required column is there")


def _texts(evidence: Evidence, facts: dict[Entity, Facts]) -> list[Diagnosis]:
    found = [
        Diagnosis(
            "warning",
            "formula-like text",
            evidence.subject(entity, name),
            f"{told['formulas']:,} cells begin like a formula, such as "
            + _example(evidence, entity, name, _FORMULA.format(value=quoted(name))),
            "a spreadsheet would run them: find out who wrote them, and open exports of this column as text only",
            {"cells": told["formulas"]},
        )
        for entity, columns in facts.items()
        for name, told in columns.items()
        if told.get("formulas")
    ]
    return or_well(found, "formula-like text", "raw tables", "no text begins with = + - @ as a formula does")


def _contract(evidence: Evidence, facts: dict[Entity, Facts]) -> list[Diagnosis]:
    """Stored rows keep their contract; an export that was never ingested, or an older contract, may not."""
    outside: list[Diagnosis] = []
    unseen: list[Diagnosis] = []
    for entity, columns in facts.items():
        for name, told in columns.items():
            column, n = evidence.columns(entity)[name], told["present"]
            if count := (told.get("below", 0) or 0) + (told.get("above", 0) or 0) + (told.get("infinite", 0) or 0):
                how = "every one" if count == n else f"{count:,} of {n:,}"
                outside.append(
                    Diagnosis(
                        "problem",
                        "number outside its range",
                        evidence.subject(entity, name),
                        f"{how} of the numbers lie outside {_range(column)}: they run from {_number(told['least'])} "
                        f"to {_number(told['most'])}",
                        f"check the unit of {name}, or widen minimum and maximum in lead_scoring.yaml",
                        {"outside": count, "share": count / n},
                    )
                )
            if count := told.get("unknown", 0):
                unseen.append(
                    Diagnosis(
                        "problem",
                        "unseen category",
                        evidence.subject(entity, name),
                        f"{count:,} of {n:,} values are not among the declared categories, such as "
                        + _example(evidence, entity, name, _unknown(name, column), column.categories),
                        f"add them to the categories of {name}, or map them in sources.{entity}.values",
                        {"values": count, "share": count / n},
                    )
                )
    return [
        *or_well(outside, "number outside its range", "raw tables", "every number lies in its declared range"),
        *or_well(unseen, "unseen category", "raw tables", "every category is a declared one"),
    ]


def _missing(evidence: Evidence, facts: Facts) -> list[Diagnosis]:
    n = evidence.counts["leads"]
    found = []
    for name, _ in evidence.features:
        share = 1 - facts[name]["present"] / n
        if share > _MISSING_WARNING:
            is_problem = share > _MISSING_PROBLEM
            found.append(
                Diagnosis(
                    "problem" if is_problem else "warning",
                    "missing values",
                    evidence.subject("leads", name),
                    f"{share:.1%} of {n:,} leads have no value",
                    f"ask the source for {name}, map another column to it, or take it out of the features"
                    if is_problem
                    else f"find out since when, and for which leads, {name} is empty",
                    {"share": share, "rows": n},
                )
            )
    return or_well(found, "missing values", "raw_leads", f"no feature is empty in more than {_MISSING_WARNING:.0%}")


def _shapes(evidence: Evidence) -> list[Diagnosis]:
    """Constants, nearly constants, too many categories, identifiers and stand-ins for missing values."""
    if evidence.sample_rows < _ENOUGH_ROWS:
        told = f"{evidence.sample_rows} leads do not show the shape of a column; {_ENOUGH_ROWS} would"
        return [insufficient("shape of features", "raw_leads", told, {"rows": evidence.sample_rows})]
    found: list[Diagnosis] = []
    for place, (name, column) in enumerate(evidence.features):
        for judge in (_numeric_shape, _constant) if column.is_numeric else (_category_shape, _constant):
            found += judge(evidence, place, name)
    told = f"no feature is constant, an identifier or full of stand-ins, in {evidence.sample_rows:,} leads looked at"
    return or_well(found, "shape of features", "raw_leads", told, {"rows": evidence.sample_rows})


def _constant(evidence: Evidence, place: int, name: str) -> list[Diagnosis]:
    distinct, n, most, value = evidence.row(
        f"SELECT count(*), coalesce(sum(n), 0)::BIGINT, max(n), arg_max(x, n)::VARCHAR FROM ({_values(place)})"  # noqa: S608
    )
    if not n or most < _NEARLY_CONSTANT * n:
        return []
    is_constant = distinct == 1
    return [
        Diagnosis(
            "warning",
            "constant column" if is_constant else "nearly constant column",
            evidence.subject("leads", name),
            f"{'all' if is_constant else f'{most / n:.2%}'} of {n:,} values are {_shown(value)}",
            f"a model learns nothing from it: check that {name} is filled as it should be, or make it `role: context`",
            {"share": most / n, "distinct": distinct},
        )
    ]


def _category_shape(evidence: Evidence, place: int, name: str) -> list[Diagnosis]:
    distinct, n = evidence.row(f"SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM ({_values(place)})")  # noqa: S608
    subject, numbers = evidence.subject("leads", name), {"distinct": distinct, "rows": n}
    if n >= _ENOUGH_ROWS and distinct >= _UNIQUE_SHARE * n:
        return [_identifier(subject, f"{distinct:,} different values in {n:,} leads", name, numbers)]
    # In a small sample, a handful of categories is more than 5 % of the rows.
    if distinct > _MANY_CATEGORIES or (distinct > _MANY_CATEGORIES_SHARE * n and n >= 20 * _ENOUGH_ROWS):
        return [
            Diagnosis(
                "warning",
                "too many categories",
                subject,
                f"{distinct:,} categories in {n:,} leads, {n / distinct:.0f} leads each",
                f"group the values of {name} in sources.leads.values, or make it `role: context`",
                numbers,
            )
        ]
    return []


def _numeric_shape(evidence: Evidence, place: int, name: str) -> list[Diagnosis]:
    lows, highs, least_n, most_n, p05, p95, distinct, n = evidence.row(
        f"SELECT min(x, 2), max(x, 2), arg_min(n, x), arg_max(n, x), quantile_cont(x, 0.05), quantile_cont(x, 0.95), "  # noqa: S608
        f"count(*), coalesce(sum(n), 0)::BIGINT FROM ({_values(place)})"
    )
    if n < _ENOUGH_ROWS or distinct < 2:
        return []
    subject = evidence.subject("leads", name)
    is_whole = evidence.features[place][1].kind == "integer"
    # Random whole numbers of that range would repeat n² / 2·range times: that none does is no chance (birthday problem).
    would_repeat = n * n / (2 * (highs[0] - lows[0] + 1))
    with_time = evidence.value(f"SELECT corr(f{place}, epoch(created_at)) FROM sample") if distinct == n else None  # noqa: S608
    if is_whole and distinct == n and (would_repeat > 20 or abs(with_time or 0) > 0.99):
        told = f"every one of {n:,} leads has a number of its own, as a running number has"
        return [_identifier(subject, told, name, {"distinct": distinct, "rows": n})]
    found = []
    for value, count, gap, others in (
        (lows[0], least_n, lows[1] - lows[0], highs[0] - lows[1]),
        (highs[0], most_n, highs[0] - highs[1], highs[1] - lows[0]),
    ):
        is_far = distinct > 5 and gap > min(p95 - p05, others)
        is_never = value == -1 and lows[1] >= 0
        if (is_far or is_never) and count >= max(_SENTINEL_ROWS, _SENTINEL_SHARE * n):
            found.append(
                Diagnosis(
                    "warning",
                    "stand-in for a missing value",
                    subject,
                    f"{count / n:.1%} of {n:,} values are {_number(value)}, far from all others",
                    f"if it means `not there`, say so: columns.{name}.missing: [{_number(value)}]",
                    {"share": count / n, "value": value},
                )
            )
    return found


def _identifier(subject: str, told: str, name: str, numbers: dict[str, float]) -> Diagnosis:
    remedy = f"a model would learn single leads by heart: make {name} `role: identifier` or `context`"
    return Diagnosis("problem", "identifier among the features", subject, told, remedy, numbers)


def _values(place: int) -> str:
    return f"SELECT f{place} AS x, count(*) AS n FROM sample WHERE f{place} IS NOT NULL GROUP BY x"  # noqa: S608


def _range(column: Column) -> str:
    low = "-∞" if column.minimum is None else _number(column.minimum)
    return f"{low} to {'∞' if column.maximum is None else _number(column.maximum)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.6g}"


def _example(evidence: Evidence, entity: Entity, name: str, condition: str, parameters: Sequence[object] = ()) -> str:
    """The first value, in order, of those that a condition names: asked only once there are some."""
    return _shown(evidence.value(f"SELECT min({quoted(name)}) FROM {entity} WHERE {condition}", parameters))  # noqa: S608


def _shown(text: object) -> str:
    written = str(text)
    return repr(written if len(written) <= 60 else written[:60] + "…")
