"""The manager's report as one HTML page without scripts: two minutes to read, intervals in small print."""

import html
import re
from collections.abc import Iterable
from math import nan

from lead_scoring_assets.monitoring.business.funnel import NO_TOUCH
from lead_scoring_assets.monitoring.business.kpis import ALL
from lead_scoring_assets.monitoring.reports import manager_words as words
from lead_scoring_assets.monitoring.reports.charts import bars, shares_over_time
from lead_scoring_assets.monitoring.reports.manager_facts import ManagerFacts, Row
from lead_scoring_assets.monitoring.reports.plain_page import cell, plain_page, table

_STAGES = {"Leads": "funnel_leads", "Contacted": "funnel_contacted", "Qualified": "funnel_qualified"}
_STAGES["Customers"] = "funnel_customers"


def manager_page(facts: ManagerFacts) -> str:
    """The whole page. Everything that comes from data is escaped."""
    title = f"Lead report {facts.period.key}"
    sections = [
        ("What needs a person", [_list(words.needs_a_person(facts), "todo")]),
        ("What came in", [_came_in(facts)]),
        ("How it went", [_how_it_went(facts), _funnel(facts)]),
        ("What was promised, and what happened", [_promised(facts)]),
        ("What changed in the model", [_news(facts)]),
        ("Alarms", [_list(words.alarms(facts))]),
    ]
    body = "".join(f"<section><h2>{name}</h2>{''.join(parts)}</section>" for name, parts in sections)
    about = f"{facts.name} · as of {facts.as_of:%d %B %Y} · {_champion(facts)}"
    top = f'<p class="lead">{html.escape(" ".join(words.headline(facts)))}</p>{_tiles(facts)}'
    return plain_page(title, about, facts.simulated_part, top + body + _small_print(facts))


def _champion(facts: ManagerFacts) -> str:
    live = facts.champion
    return f"model v{live.version}, trained {live.period}" if live else "no model live yet"


def _tiles(facts: ManagerFacts) -> str:
    best = facts.buckets[0]
    goal = facts.figure("goal_reached")
    reached = {1.0: "goal reached", 0.0: "goal not reached"}.get(goal["value"], "") if goal else ""
    tiles = [
        ("Conversion rate", _share(facts.figure("conversion_rate")), ""),
        ("Revenue per lead", _money(facts.figure("revenue_per_lead")), "over all leads"),
        (f"{best} against average", _times(facts.figure("lift", best)), ""),
        ("Against the baseline", _change(facts.figure("vs_baseline")), reached),
    ]
    return '<div class="tiles">' + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _tile(name: str, told: tuple[str, str], note: str) -> str:
    value, interval = told
    small = " · ".join(part for part in (interval, note) if part)
    return f"<div><span>{html.escape(name)}</span><b>{value}</b><small>{html.escape(small)}</small></div>"


def _came_in(facts: ManagerFacts) -> str:
    rows = [
        [
            cell(bucket),
            f"{n:,}",
            f"{n / facts.total:.0%}" if facts.total else "–",
            f"{facts.scored_before.get(bucket, 0):,}",
        ]
        for bucket in facts.buckets
        for n in [facts.scored.get(bucket, 0)]
    ]
    rejected = f"<p>{facts.rejected:,} rows were refused, with their reasons.</p>" if facts.rejected else ""
    return table(["Bucket", "New leads", "Share", "Period before"], rows) + rejected


def _how_it_went(facts: ManagerFacts) -> str:
    leads = facts.figures.get((ALL, "leads"))
    if leads is None or not leads["value"]:
        return "<p>No scored lead is old enough yet to judge by.</p>"
    rows = []
    for bucket in (*facts.buckets, ALL):
        n, won = (facts.figures.get((bucket, kpi), {}).get("value") for kpi in ("leads", "conversions"))
        rate, hours = facts.figure("conversion_rate", bucket), facts.figure("hours_to_contact", bucket)
        rows.append(
            [
                cell("All" if bucket == ALL else bucket),
                f"{n or 0:,.0f}",
                "–" if won is None else f"{won:,.0f}",
                _with_small(_share(rate)),
                _with_small(_money(facts.figure("revenue_per_lead", bucket))),
                _with_small(_hours(hours)),
            ]
        )
    told = f"<p>Leads that arrived {html.escape(words.span(leads))}; younger ones are not judged yet.</p>"
    return told + table(
        ["Bucket", "Leads", "Customers", "Rate", "Revenue per lead", "First contact, half within"], rows
    )


def _funnel(facts: ManagerFacts) -> str:
    found = {name: facts.figure(kpi) for name, kpi in _STAGES.items()}
    known = {name: row["value"] for name, row in found.items() if row is not None}
    if not known.get("Leads"):
        return ""
    missing = "" if "Contacted" in known else f'<p class="small">Contacted is not shown: {NO_TOUCH}.</p>'
    return bars(known, "Funnel from leads to customers") + missing


def _promised(facts: ManagerFacts) -> str:
    rows = []
    for bucket in (*facts.buckets, ALL):
        rate, promised = facts.figure("conversion_rate", bucket), facts.figure("promised_rate", bucket)
        if rate is None or promised is None:
            continue
        inside = rate["low"] <= promised["value"] <= rate["high"]
        word = "as promised" if inside else "more" if rate["value"] > promised["value"] else "fewer"
        name = cell("All" if bucket == ALL else bucket)
        rows.append([name, f"{promised['value']:.1%}", _with_small(_share(rate)), word])
    if not rows:
        return "<p>Nothing can be compared yet.</p>"
    told = table(["Bucket", "Promised", "Happened", ""], rows)
    if len(facts.history) < 2:
        return told
    picture = shares_over_time(
        [key for key, *_ in facts.history],
        [value for _, _, value, _, _ in facts.history],
        [(low, high) for _, _, _, low, high in facts.history],
        [nan if share is None else share for _, share, _, _, _ in facts.history],
        "Conversion rate of matured leads over time, with what the scores promised",
    )
    line = "Line: customers among the leads that matured in each period, with its 95 % interval; dashed: promised."
    return f'{told}{picture}<p class="small">{line}</p>'


def _news(facts: ManagerFacts) -> str:
    items = (f"{_code(told)} <small>{_code(why)}</small>" for told, why in words.model_news(facts))
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _list(sentences: Iterable[str], kind: str = "") -> str:
    items = "".join(f"<li>{_code(sentence)}</li>" for sentence in sentences)
    return f'<ul class="{kind}">{items}</ul>'


def _code(sentence: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(sentence))


def _small_print(facts: ManagerFacts) -> str:
    coverage = (facts.figures.get((ALL, "leads")) or {}).get("label_coverage")
    known = "" if coverage is None else f" Outcomes are known of {coverage:.0%} of the matured leads."
    factors = [row["reason"] for (_, kpi), row in sorted(facts.figures.items()) if kpi.startswith("external: ")]
    other = f" In their days: {'; '.join(factors)}." if factors else ""
    absent = sorted(
        {
            f"{kpi.replace('_', ' ')}: {row['reason']}"
            for (bucket, kpi), row in facts.figures.items()
            if bucket == ALL
            and row["status"] != "ok"
            and kpi in ("revenue_per_lead", "vs_baseline", "conversion_trend")
        }
    )
    gaps = f" Not shown: {'; '.join(absent)}." if absent else ""
    told = (
        "Figures in brackets are 95 % intervals: the range in which chance leaves the true value. Rates are told only of leads "
        "whose conversion window has closed; a lead without an outcome is not a lost lead before that. Better leads are also "
        "called sooner, so part of their advantage is the attention they get. "
        "Tables: business_kpis, lead_scores, feature_drift, promotion_decision, deployments, events."
    )
    return f'<p class="small">{html.escape(told + known + other + gaps)}</p>'


def _with_small(told: tuple[str, str]) -> str:
    value, interval = told
    return f"{value} <small>{html.escape(interval)}</small>" if interval else value


def _share(row: Row | None) -> tuple[str, str]:
    return ("–", "too little") if row is None else (f"{row['value']:.1%}", f"[{row['low']:.1%}, {row['high']:.1%}]")


def _change(row: Row | None) -> tuple[str, str]:
    return ("–", "") if row is None else (f"{row['value']:+.0%}", f"[{row['low']:+.0%}, {row['high']:+.0%}]")


def _times(row: Row | None) -> tuple[str, str]:
    return ("–", "too little") if row is None else (f"{row['value']:.1f} ×", f"[{row['low']:.1f}, {row['high']:.1f}]")


def _hours(row: Row | None) -> tuple[str, str]:
    if row is None:
        return "–", ""
    return f"{row['value']:.0f} h", f"[{row['low']:.0f}, {'?' if row['high'] is None else format(row['high'], '.0f')}]"


def _money(row: Row | None) -> tuple[str, str]:
    if row is None:
        return "–", ""
    interval = "" if row["low"] is None else f"[{row['low']:,.0f}, {row['high']:,.0f}]"
    return f"{row['value']:,.0f} {html.escape(row['currency'] or '')}".rstrip(), interval
