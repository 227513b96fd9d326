"""The sentences of the manager's report: what the figures say in plain words, and what a person should do about it."""

from lead_scoring_assets.monitoring.business.kpis import ALL
from lead_scoring_assets.monitoring.reports.manager_facts import ManagerFacts, Row

REJECTED_SHARE = 0.01
COMPARABLE = 30  # leads in the period before; of fewer a change in percent says nothing
_VERDICTS = {
    "promoted": "it passed every test and went live",
    "awaiting_approval": "it passed every test and waits for approval",
    "rejected": "it did not prove itself, and the model before stays",
    "superseded": "a newer one had gone live meanwhile",
    "no_candidate": "the model before stays",
}


def headline(facts: ManagerFacts) -> list[str]:
    """Three or four sentences that stand for the whole page."""
    told = [_arrived(facts)]
    rate, leads = facts.figure("conversion_rate"), facts.figures.get((ALL, "leads"))
    if rate is not None and leads is not None:
        told.append(
            f"Of the {rate['n']:,} leads that arrived {span(leads)} and whose outcome is now complete, "
            f"{rate['value']:.1%} became customers."
        )
    elif leads is not None and leads["value"]:
        told.append(
            f"Only {leads['value']:,.0f} leads are old enough to be judged: too few to say how many become customers."
        )
    else:
        told.append("No group of leads is old enough yet to say how many become customers.")
    if working := facts.figure("prioritisation_working"):
        best, lift = facts.buckets[0], facts.figure("lift", facts.buckets[0])
        if lift is not None and working["value"]:
            told.append(
                f"{best} leads bought {lift['value']:.1f} times as often as the average lead: the ranking works."
            )
        else:
            told.append(f"It is not shown that {best} leads buy more often than the average lead.")
    if promise := promise_kept(facts):
        told.append(promise)
    return told


def _arrived(facts: ManagerFacts) -> str:
    before = sum(facts.scored_before.values())
    change = f", {facts.total / before - 1:+.0%} against the period before" if before >= COMPARABLE else ""
    best = facts.buckets[0]
    if not facts.total:
        return f"No new lead was scored{f'; {before:,} were in the period before' if before else ''}."
    return f"{facts.total:,} new leads were scored{change}; {facts.scored.get(best, 0):,} of them are {best}."


def span(row: Row) -> str:
    """The days on which a cohort was created."""
    return f"{row['created_from']:%d %b} to before {row['created_before']:%d %b %Y}"


def promise_kept(facts: ManagerFacts) -> str | None:
    """Whether what the scores promised lies in the interval of what happened."""
    rate, promised = facts.figure("conversion_rate"), facts.figure("promised_rate")
    if rate is None or promised is None:
        return None
    told = f"The scores had promised {promised['value']:.1%}"
    if rate["low"] <= promised["value"] <= rate["high"]:
        return f"{told}, which is in line with what happened."
    word = "more" if rate["value"] > promised["value"] else "fewer"
    return f"{told}: {word} bought than promised, beyond what chance explains."


def model_news(facts: ManagerFacts) -> list[tuple[str, str]]:
    """What was decided on and put live in the period: a sentence for everybody, and the reasons for who wants them."""
    told = []
    for row in facts.decisions:
        version, asked = row["candidate_version"], row["trigger_reason"]
        why = f"Trained because: {_ended(asked)} " if asked else ""
        candidate = "No new model could be trained" if version is None else f"Model v{version} was trained"
        became = _VERDICTS.get(row["verdict"], row["verdict"])
        if row["verdict"] == "awaiting_approval" and facts.approval == "rollout":
            became = "it passed every test and goes on by a rollout"
        told.append((f"{candidate}: {became}.", f"{why}{_ended(row['reason'])}"))
    decided = {row["candidate_version"] for row in facts.decisions if row["verdict"] == "promoted"}
    told += [
        (
            f"Model v{step.version} was {step.action.replace('_', ' ')} on {step.effective_at:%d %B}, by {step.actor}.",
            _ended(step.reason),
        )
        for step in facts.steps
        if not (step.action == "promoted" and step.version in decided)
    ]
    if facts.rollout is not None:
        told.append(
            (f"Model v{facts.rollout['version']} {_on_its_way(facts.rollout)}.", _ended(facts.rollout["reason"]))
        )
    return told or [("Nothing changed: no model was trained, decided on or replaced.", "")]


def _on_its_way(step: Row) -> str:
    """Where a candidate's rollout stands."""
    if step["state"] == "rolled_back":
        return "was taken back by its rollout"
    share = f"{step['share_bp'] / 100:g} % of the API's leads"
    does = (
        f"answers {share}" if step["share_bp"] else "scores beside the live model in a rollout, and answers no lead yet"
    )
    waits = {"held": ", and stays there for now", "waiting_for_approval": ", and waits for approval of the next share"}
    return does + waits.get(step["state"], "")


def alarms(facts: ManagerFacts) -> list[str]:
    """What was raised, and what the measurements of the period say."""
    told = [f"[{event.evidence.get('level', 'alert')}] {_ended(event.reason)}" for event in facts.alerts]
    if facts.drifted:
        told.append(
            f"The leads that came differ from those the model learned from in {len(facts.drifted)} of {facts.assessed} "
            f"features: {', '.join(facts.drifted)}."
        )
    if facts.not_assessed is not None:
        told.append(
            "Whether the leads that came differ from those the model learned from is not known: "
            f"{_ended(facts.not_assessed)}"
        )
    trend = facts.figure("conversion_trend")
    if trend is not None and trend["high"] < 0:
        told.append(f"Conversions are {trend['reason'].split(';')[0]}.")
    return told or ["None."]


def needs_a_person(facts: ManagerFacts) -> list[str]:
    """What somebody should decide or look into, with the command or the page that helps."""
    told = []
    if facts.waiting is not None and (waits := _waits(facts.waiting, facts)):
        told.append(waits)
    if any(event.evidence.get("level") == "critical" for event in facts.alerts):
        told.append("A critical alert was raised: see who looks after it with `lead-scoring alerts`.")
    if facts.drifted:
        told.append(f"Ask marketing what changed in {', '.join(facts.drifted[:3])}: a campaign, a form, an import?")
    goal, against = facts.figure("goal_reached"), facts.figure("vs_baseline")
    if goal is not None and against is not None and not goal["value"] and against["high"] < 0:
        told.append(
            f"Conversions are clearly below the baseline ({against['reason']}): find out why before retraining."
        )
    if not facts.total and sum(facts.scored_before.values()) >= COMPARABLE and not facts.rejected:
        told.append("No new lead came: find out whether the export still runs.")
    if facts.rejected > REJECTED_SHARE * max(1, facts.total):
        told.append(f"{facts.rejected:,} rows broke their contract: have the export mended (table rejected_rows).")
    working = facts.figure("prioritisation_working")
    if working is not None and not working["value"]:
        told.append(f"The {facts.buckets[0]} bucket does not prove itself: review its limit, or the model.")
    contacted = facts.figure("hours_to_contact", facts.buckets[0])
    overall = facts.figure("hours_to_contact")
    if contacted is not None and overall is not None and contacted["value"] > overall["value"]:
        told.append(
            f"{facts.buckets[0]} leads wait longer for their first contact than others: are the lists followed?"
        )
    return told or ["Nothing this time."]


def _waits(version: int, facts: ManagerFacts) -> str | None:
    """What a candidate asks of a person; None while its rollout goes on, or begins, by itself."""
    step = facts.rollout
    if step is None:
        if facts.approval == "rollout":
            return None
        return f"Model v{version} waits for approval: `lead-scoring approve`, or `lead-scoring reject`."
    told = f"Model v{version} {_on_its_way(step)}"
    if step["state"] == "waiting_for_approval":
        return f"{told}: `lead-scoring rollout approve`, or `lead-scoring rollout abort`."
    if step["state"] == "rolled_back":
        return f"{told}: `lead-scoring reject {version}`, or `lead-scoring rollout start {version}` to try again."
    return None


def _ended(text: str) -> str:
    """With a full stop, where there is none."""
    return text if text.rstrip().endswith((".", "!", "?")) else f"{text.rstrip()}."
