"""The manager's page: every number on it stands in a table, plain words agree with intervals, and a young home has a page too."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.events.log import Event
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.business import kpis
from lead_scoring_assets.monitoring.reports import manager_words as words
from lead_scoring_assets.monitoring.reports.charts import bars, shares_over_time
from lead_scoring_assets.monitoring.reports.listing import find_report
from lead_scoring_assets.monitoring.reports.manager_facts import ManagerFacts, gather
from lead_scoring_assets.monitoring.reports.manager_page import manager_page
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.rollout.states import Rollout
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.monitoring.business.worlds import cohort

MONTH = "2009-04"
_DRIFT = pa.schema(
    [(n, pa.string()) for n in ("period", "feature", "status", "reason")] + [("psi_debiased", pa.float64())]
)
N = 3_000


@pytest.fixture
def house(make_home: MakeHome) -> Installation:
    """A month with scores, figures of matured leads, and a model that went live in it."""
    house = Installation(Home(make_home("manager")))
    calendar, settings = house.settings.calendar, house.settings
    period = calendar.period(MONTH)
    rows: list[dict[str, Any]] = []
    for seed, key in enumerate(["2009-01", "2009-02", "2009-03", MONTH]):
        history = kpis.counted_before(rows, key)
        rows += kpis.measure(cohort(np.random.default_rng(seed), N), history, calendar.period(key), settings)
    keys = sorted({row["period"] for row in rows})
    house.lakehouse.replace_periods(kpis.TABLE, keys, pa.Table.from_pylist(rows, schema=kpis.SCHEMA))
    scores = pa.table(
        {
            "period": [MONTH] * 10 + ["2009-03"] * 30,
            "bucket": ["Hot"] * 3 + ["Cold"] * 7 + ["Cold"] * 30,
            # One of this month's was scored before: it is not new.
            "previous_period": pa.array([None] * 9 + ["2009-03"] + [None] * 30, pa.string()),
        }
    )
    house.lakehouse.replace_periods("lead_scores", [MONTH, "2009-03"], scores)
    Deployments(house.lakehouse).record(
        Deployment(7, period.start, "2009-03", "models/7", "f", "gate", "as good as before <b>")
    )
    return house


def facts(house: Installation, key: str = MONTH) -> ManagerFacts:
    return gather(house, house.settings.calendar.period(key))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def test_the_page_tells_what_the_tables_hold(house: Installation) -> None:
    told = facts(house)
    text = text_of(manager_page(told))
    rate = told.figures["all", "conversion_rate"]
    assert f"{rate['value']:.1%} [{rate['low']:.1%}, {rate['high']:.1%}]" in text
    for bucket in told.buckets:
        for kpi in ("leads", "conversions"):
            assert f"{told.figures[bucket, kpi]['value']:,.0f}" in text
        assert f"{told.figures[bucket, 'promised_rate']['value']:.1%}" in text
    lift = told.figures["Hot", "lift"]
    assert f"{lift['value']:.1f} × [{lift['low']:.1f}, {lift['high']:.1f}]" in text
    assert "9 new leads were scored, -70% against the period before; 3 of them are Hot." in text
    assert "as of 01 May 2009" in text
    assert "model v7" in text
    assert "Model v7 was promoted on 01 April, by gate. as good as before &lt;b&gt;." in text
    assert "when an outcome became known is simulated" in text  # the bank's


def test_it_is_one_light_page_without_scripts_or_anything_from_elsewhere(house: Installation) -> None:
    page = manager_page(facts(house))
    assert len(page) < 40_000
    assert not re.search(r"<script|<img|<link|https?://|src=|before <b>", page)


def test_words_follow_the_whole_interval_and_never_the_point(house: Installation) -> None:
    told = facts(house)
    figures = dict(told.figures)

    def with_figure(kpi: str, **changes: float) -> ManagerFacts:
        return ManagerFacts(**{**vars(told), "figures": {**figures, ("all", kpi): {**figures["all", kpi], **changes}}})

    rate = figures["all", "conversion_rate"]
    for promised, word in [
        (rate["low"] - 0.01, "more bought than promised"),
        (rate["high"] + 0.01, "fewer bought than promised"),
        (rate["low"] + 0.0001, "in line with what happened"),
    ]:
        assert word in str(words.promise_kept(with_figure("promised_rate", value=promised)))
    assert "the ranking works" in " ".join(words.headline(told))
    unproven = with_figure("prioritisation_working", value=0.0)
    assert "It is not shown that Hot leads" in " ".join(words.headline(unproven))
    assert any("does not prove itself" in sentence for sentence in words.needs_a_person(unproven))
    falling = with_figure("conversion_trend", value=-0.1, low=-0.2, high=-0.01)
    assert any(sentence.startswith("Conversions are") for sentence in words.alarms(falling))
    maybe = with_figure("conversion_trend", value=-0.1, low=-0.2, high=0.01)
    assert words.alarms(maybe) == ["None."]


def test_alerts_of_the_period_and_what_waits_for_a_person_are_told(house: Installation) -> None:
    period = house.settings.calendar.period(MONTH)
    for name, moment in [("in", period.start), ("after", period.end), ("before", period.start - timedelta(seconds=1))]:
        house.events.record(Event(name, "alert", "drift", moment, "sensor", f"alert {name}", {"level": "critical"}))

    told = facts(house)
    assert [event.reason for event in told.alerts] == ["alert in"]
    assert words.alarms(told)[0] == "[critical] alert in."
    assert any("critical alert" in sentence for sentence in words.needs_a_person(told))
    waiting = ManagerFacts(**{**vars(told), "waiting": 8})
    assert any("v8 waits for approval" in sentence for sentence in words.needs_a_person(waiting))


def _with_rollout(told: ManagerFacts, state: str, share_bp: int) -> ManagerFacts:
    step = {"version": 8, "state": state, "share_bp": share_bp, "reason": f"why {state}"}
    return ManagerFacts(**{**vars(told), "waiting": 8, "approval": "rollout", "rollout": step})


@pytest.mark.parametrize(
    ("state", "share_bp", "news", "asks"),
    [
        ("shadow", 0, "v8 scores beside the live model in a rollout, and answers no lead yet.", None),
        ("canary", 500, "v8 answers 5 % of the API's leads.", None),
        ("held", 1_000, "v8 answers 10 % of the API's leads, and stays there for now.", None),
        (
            "waiting_for_approval",
            5_000,
            "v8 answers 50 % of the API's leads, and waits for approval",
            "rollout approve",
        ),
        ("rolled_back", 0, "v8 was taken back by its rollout.", "lead-scoring rollout start 8"),
    ],
)
def test_a_candidate_of_a_rollout_is_told_as_what_it_is(
    house: Installation, state: str, share_bp: int, news: str, asks: str | None
) -> None:
    told = _with_rollout(facts(house), state, share_bp)
    [why] = [why for sentence, why in words.model_news(told) if news in sentence]
    assert why == f"why {state}."
    asked = " ".join(sentence for sentence in words.needs_a_person(told) if "v8" in sentence)
    assert asks in asked if asks else not asked


def test_the_rollout_is_read_as_it_stood_at_the_end_of_the_period(house: Installation) -> None:
    period = house.settings.calendar.period(MONTH)
    proposed = Deployment(8, period.start, MONTH, "models/8", "f", "gate", "as good", action="proposed")
    with Deployments(house.lakehouse).one_at_a_time():
        Deployments(house.lakehouse).append(proposed)
    assert facts(house).rollout is None
    champion = Rollout("rollout-1", 8, 7, "shadow", 0, 0, period.start, period.start, "gate")
    rollouts = Rollouts(house.lakehouse)
    rollouts.append(champion, "started", period.start, "gate", "passed the gate")
    canary = replace(champion, state="canary", step=1, share_bp=500)
    rollouts.append(canary, "moved", period.start + timedelta(days=14), "sensor", "two weeks went well")
    rollouts.append(replace(canary, state="rolled_back", share_bp=0), "moved", period.end, "sensor", "errors")
    told = facts(house)
    assert (told.waiting, told.rollout and told.rollout["state"]) == (8, "canary")
    assert "waits for approval" not in text_of(manager_page(told))


def test_a_period_without_leads_or_without_a_reference_is_no_quiet_one(house: Installation) -> None:
    told = facts(house)
    none = ManagerFacts(**{**vars(told), "scored": {}, "scored_before": {"Cold": 400}})
    assert words.headline(none)[0] == "No new lead was scored; 400 were in the period before."
    assert any("whether the export still runs" in sentence for sentence in words.needs_a_person(none))
    few = ManagerFacts(**{**vars(told), "scored": {"Cold": 350}, "scored_before": {"Cold": 1}})
    assert words.headline(few)[0] == "350 new leads were scored; 0 of them are Hot."
    lost = pa.Table.from_pylist(
        [
            {
                "period": MONTH,
                "feature": "age",
                "status": "not_computable",
                "reason": "its reference is gone",
                "psi_debiased": None,
            }
        ]
    )
    house.lakehouse.replace_periods("feature_drift", [MONTH], lost.cast(_DRIFT))
    assert "is not known: its reference is gone." in " ".join(words.alarms(facts(house)))


def test_a_home_without_anything_matured_has_a_page_that_says_so(make_home: MakeHome) -> None:
    young = Installation(Home(make_home("young")))
    empty = pa.schema([(name, pa.string()) for name in ("period", "bucket", "previous_period")]).empty_table()
    young.lakehouse.replace_periods("lead_scores", ["2008-05"], empty)
    text = text_of(manager_page(facts(young, "2008-05")))
    assert "No group of leads is old enough yet" in text
    assert "No scored lead is old enough yet" in text
    assert "no model live yet" in text
    assert "nan" not in text.casefold().split()


def test_the_same_tables_give_the_same_page(house: Installation) -> None:
    assert manager_page(facts(house)) == manager_page(facts(house))


def test_the_verb_finds_the_newest_page_or_says_what_to_do(house: Installation) -> None:
    with pytest.raises(LeadScoringError, match="Materialise the asset manager_report"):
        find_report(house, None)
    rows = [{"period": key, "file": f"report-{key}.html", "headline": key} for key in ("2009-03", MONTH)]
    house.lakehouse.replace_periods("manager_report", ["2009-03", MONTH], pa.Table.from_pylist(rows))
    house.home.reports.mkdir(parents=True)
    for row in rows:
        Path(house.home.reports / row["file"]).write_text("a page")
    assert find_report(house, None).period == MONTH
    assert find_report(house, "2009-03").page.name == "report-2009-03.html"
    (house.home.reports / f"report-{MONTH}.html").unlink()
    with pytest.raises(LeadScoringError, match=MONTH):
        find_report(house, MONTH)


def test_charts_stand_for_what_they_are_given() -> None:
    nan = float("nan")
    drawn = shares_over_time(["a<", "b", "c"], [0.1, nan, 0.2], [(0.05, 0.15), (nan, nan), (0.1, 0.3)], [nan] * 3, "x")
    assert drawn.count("<circle") == 2
    assert "nan" not in drawn
    assert "a&lt;" in drawn
    assert "30.0%" in drawn
    funnel = bars({"Leads": 200.0, "Customers": 50.0}, "funnel")
    assert "50 (25%)" in funnel
    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', funnel)]
    assert widths[1] / widths[0] == pytest.approx(0.25, abs=0.01)
