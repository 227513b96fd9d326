"""The page of a replay: the advice, what every policy brought, when it trained, and what all this cannot tell. Nothing is loaded
from elsewhere."""

import math
from collections.abc import Sequence
from html import escape

from lead_scoring_assets.timemachine.pictures import money_picture, timeline_picture, worlds_picture
from lead_scoring_assets.timemachine.policies import AS_SET
from lead_scoring_assets.timemachine.recommendation import Recommendation, better_in
from lead_scoring_assets.timemachine.replay import Replay, Result
from lead_scoring_assets.timemachine.several import AcrossWorlds
from lead_scoring_assets.timemachine.uncertainty import Interval

LIMITS = (
    (
        "Outcomes are what they were. Leads that were called then had a better chance than leads that were not, and another "
        "policy would have called others: what it would have changed in their outcomes cannot be seen in recorded history. "
        "Policies that call other leads than people did are likely worth more or less than told here."
    ),
    (
        "The first interval is over leads: it says how far luck with single leads reaches in this very history, with its "
        "events, triggers and models as given. It does not say that the same will happen again."
    ),
    (
        "The second is over blocks of periods: it asks what another stretch of the same kind of time would give. A difference "
        "that rests on one turn of the world has a wide one, however clear the turn was. It keeps the decisions as they fell; "
        "what triggers would have done in another history only several histories tell."
    ),
    "Hindsight knows every outcome, so part of its gain is luck that no rule could have had.",
    (
        "All policies train with the documented recipe, without a search for a better one, and whoever passes the gate goes "
        "live at once."
    ),
)
_STRONG_LINES = 4

_STYLE = """
:root{--ink:#22262b;--quiet:#667080;--line:#e3e6ea;--blue:#4f7cac;--paper:#fff;--ground:#f5f6f8}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1060px;margin:0 auto;padding:32px 20px 60px}h1{font-size:26px;margin:0 0 4px}
h2{font-size:17px;margin:0 0 10px}.quiet{color:var(--quiet)}
section{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:20px 22px;margin-top:18px}
.advice{border-left:5px solid var(--blue)}.advice strong{font-size:20px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:right;color:var(--quiet);font-size:12.5px;padding:4px 8px;border-bottom:1px solid var(--line)}
td{text-align:right;padding:5px 8px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal}td small{color:var(--quiet);display:block}
tr.pick td{background:#eef4fa}.scroll{overflow-x:auto}svg{width:100%;height:auto}li{margin-bottom:6px}
"""


def render(replayed: Replay, advised: Recommendation, across: Sequence[AcrossWorlds] = ()) -> str:
    """The whole page as HTML. `across`: the figures over several histories, of which `replayed` is the first."""
    settings, periods = replayed.settings, replayed.periods
    title = f"Which rule for retraining? {settings.name}{settings.simulated_mark}"
    strong = _strongest(replayed, advised)
    facts = (
        f"{replayed.leads:,} leads of {len(periods)} periods, {periods[0]} to {periods[-1]}; the best "
        f"{settings.evaluation.capacity_share:.0%} of each period's leads are worked; a training costs "
        f"{replayed.training_cost:,.0f} {settings.currency}. {settings.simulated_part}"
    )
    if replayed.unlabelled:
        facts += f" {replayed.unlabelled:,} leads without a known outcome are left out."
    same = _same_as(replayed)
    rows = "".join(_row(result, advised, same.get(result.policy.name)) for result in replayed.results)
    currency = escape(settings.currency)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>
<h1>{escape(title)}</h1><div class="quiet">{escape(facts)}</div>
<section class="advice"><h2>Advice</h2><strong>{escape(_heading(advised))}</strong>
{"".join(f"<p>{escape(reason)}</p>" for reason in advised.reasons)}</section>
{_worlds(across, advised, settings.currency)}
<section><h2>What each policy brought, more than never retraining</h2>{money_picture(replayed, strong)}</section>
<section><h2>When each policy trained, and what went live</h2>{timeline_picture(replayed)}</section>
<section><h2>In figures</h2><div class="scroll"><table>
<tr><th>policy</th><th>trainings</th><th>went live</th><th>{currency}</th><th>more than never<br>[95 % over leads]</th>
<th>[95 % over periods]</th><th>of hindsight's<br>gain</th></tr>{rows}
<tr><td>hindsight<small>the best schedule of models, every outcome known</small></td><td>{len(replayed.oracle.trained)}</td>
<td>{len(replayed.oracle.trained)}</td><td>{replayed.oracle_money:,.0f}</td><td>{replayed.oracle_gain:+,.0f}</td><td></td>
<td>100%</td></tr></table></div></section>
<section><h2>What this can tell, and what it cannot</h2><ul>{"".join(f"<li>{escape(text)}</li>" for text in LIMITS)}</ul>
</section></main></body></html>
"""


def _worlds(across: Sequence[AcrossWorlds], advised: Recommendation, currency: str) -> str:
    if not across:
        return ""
    n = len(across[0].by_world)
    rows = "".join(
        f"<tr{_mark(one.policy.name, advised)}><td>{escape(one.policy.name)}</td><td>{one.money:,.0f}</td>"
        f"<td>{one.difference.value:+,.0f} {edges(one.difference)}</td><td>{better_in(one.by_world)}</td></tr>"
        for one in across
    )
    return f"""<section><h2>Over {n} simulated histories, this one among them</h2>
{worlds_picture(across, currency, advised.policy.name)}
<div class="scroll"><table><tr><th>policy</th><th>mean {escape(currency)}</th><th>more than never<br>[95 % over histories]</th>
<th>better than never in</th></tr>{rows}</table></div>
<p class="quiet">What follows is this one history.</p></section>"""


def share(value: float) -> str:
    """Of hindsight's gain; a dash where hindsight gained next to nothing."""
    return f"{value:.0%}" if math.isfinite(value) else "–"


def edges(interval: Interval) -> str:
    """`[low, high]`; a dash where nothing can be said."""
    if not math.isfinite(interval.low):
        return "–"
    return f"[{interval.low:+,.0f}, {interval.high:+,.0f}]"


def _heading(advised: Recommendation) -> str:
    if not advised.is_shown:
        return "No rule is shown to be worth its trainings"
    if advised.policy.name == AS_SET:
        return "Keep the rule that is set"
    return f"Retrain {advised.policy.told}" if advised.policy.told else f"Set {advised.policy.name}"


def _strongest(replayed: Replay, advised: Recommendation) -> list[str]:
    """What is drawn in colour: the advised one, the one that is set, and those with the most money; each outcome once."""
    ranked = sorted(replayed.results, key=lambda result: -result.money)
    wanted = [advised.policy.name, AS_SET, *(result.policy.name for result in ranked)]
    by_name = {result.policy.name: result for result in replayed.results}
    found: dict[tuple[float, ...], str] = {}
    for name in wanted:
        if name in by_name:
            found.setdefault(by_name[name].net, name)
    return list(found.values())[:_STRONG_LINES]


def _same_as(replayed: Replay) -> dict[str, str]:
    """By policy the first one that trained at the same moments and brought the same, where there is one."""
    first: dict[object, str] = {}
    same = {
        result.policy.name: first.setdefault((result.played.trained, result.net), result.policy.name)
        for result in replayed.results
    }
    return {name: other for name, other in same.items() if name != other}


def _row(result: Result, advised: Recommendation, same_as: str | None) -> str:
    cells: Sequence[str] = (
        f"{len(result.played.trained)}",
        f"{len(result.played.promoted)}",
        f"{result.money:,.0f}",
        f"{result.in_this_history.value:+,.0f} {edges(result.in_this_history)}",
        edges(result.over_periods),
        share(result.share_of_oracle),
    )
    told = f"{result.policy.told} (here the same as {same_as})" if same_as else result.policy.told
    name = f"{escape(result.policy.name)}<small>{escape(told)}</small>"
    return (
        f"<tr{_mark(result.policy.name, advised)}><td>{name}</td>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _mark(name: str, advised: Recommendation) -> str:
    return ' class="pick"' if name == advised.policy.name else ""
