"""The day's report: one a day by the installation's clock, what it says is what the tables say, and who is told of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.daily import daily_report, due_day, tell_daily_report
from lead_scoring_assets.alerts.delivery import payloads
from lead_scoring_assets.alerts.delivery.payloads import Place
from lead_scoring_assets.alerts.sensors import report_daily
from lead_scoring_assets.monitoring.reports.assets import MANAGER_SCHEMA
from lead_scoring_assets.monitoring.reports.manager_facts import gather
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.alerts.receivers import http_receiver
from lead_scoring_tests.alerts.worlds import World, message, raised


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


def reported(world: World, period: str = "2008-08", hot: int = 2, cold: int = 3) -> None:
    """The period's leads are scored, and its page lies there."""
    buckets = ["Hot"] * hot + ["Cold"] * cold
    scores = pa.table(
        {
            "period": pa.array([period] * len(buckets)),
            "bucket": pa.array(buckets),
            "previous_period": pa.nulls(len(buckets), pa.string()),
        }
    )
    world.house.lakehouse.replace_periods("lead_scores", [period], scores)
    file = f"report-{period}.html"
    row = {"period": period, "file": file, "headline": "as the page says"}
    world.house.lakehouse.replace_periods(
        "manager_report", [period], pa.Table.from_pylist([row], schema=MANAGER_SCHEMA)
    )
    world.home.reports.mkdir(parents=True, exist_ok=True)
    (world.home.reports / file).write_text("<!doctype html>")


def look(world: World) -> str:
    with world.desk() as desk:
        return tell_daily_report(world.house, desk)


def tick(world: World, cursor: str | None) -> tuple[str, str | None]:
    """What the sensor says, and the cursor that it leaves."""
    with dg.build_sensor_context(
        cursor=cursor, resources={"installation": InstallationResource(root=str(world.home.root))}
    ) as context:
        told = report_daily.evaluate_tick(context)
        return str(told.skip_message), told.cursor


@given(
    now=st.integers(0, 100 * 365 * 86_400).map(
        lambda seconds: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
    hour=st.integers(0, 23),
)
def test_the_day_that_is_due_is_the_newest_whose_hour_has_come(now: datetime, hour: int) -> None:
    at = datetime.fromisoformat(f"{due_day(now, hour)}T{hour:02d}:00:00+00:00")
    assert at <= now < at + timedelta(days=1)


def test_one_report_a_day(world: World) -> None:
    """However often the sensor looks; days on which it did not are not made up for."""
    reported(world)
    for hours in range(0, 54, 6):
        world.later(hours=6 if hours else 7)
        look(world)
    days = [event.event_id for event in world.house.events.events(kind="alert")]
    assert days == [f"alert-daily-report-2008-09-0{day}" for day in (1, 2, 3)]
    world.later(days=40)
    assert look(world).startswith("told the report of 2008-10-13")
    assert len(world.house.events.events(kind="alert")) == 4


def test_it_says_what_the_tables_say_and_what_is_open(world: World) -> None:
    reported(world, "2008-07", hot=1)
    reported(world, "2008-08", hot=2, cold=3)
    told, cursor = tick(world, None)
    assert (told, world.episodes()) == ("alerts are looked for first; the report follows with the next tick", [])
    world.raise_("alert-run-1", "critical")
    world.raise_("alert-check-1", "warning", "raw_leads:few_rejected")
    told, cursor = tick(world, cursor)
    assert "5 new leads were scored; 2 of them are Hot." in told
    assert "Open alerts: 1 critical, 1 warning, in 2 episodes." in told
    [alert] = [episode.alerts[0] for episode in world.episodes() if episode.topic == "report"]
    assert (alert.level, alert.topic, alert.page, alert.is_open) == ("info", "report", "report-2008-08.html", False)
    assert alert.figures["leads scored"] == 5
    assert "Leads and outcomes are real" in alert.message


def test_figures_come_with_interval_and_n_where_there_is_one(world: World) -> None:
    reported(world)
    facts = gather(world.house, world.house.settings.calendar.period("2008-08"))
    row = {"status": "ok", "value": 0.12345, "low": 0.1, "high": 0.15, "n": 1_534, "reason": ""}
    revenue = {**row, "value": 2_450.4, "low": None, "high": None}
    figures = {("all", "conversion_rate"): row, ("all", "revenue_per_lead"): revenue}
    told = daily_report("2008-09-01", replace(facts, figures=figures), "none", "report-2008-08.html", None).evidence
    assert told["conversion rate"] == "12.3% [10.0%, 15.0%], n = 1,534"
    assert told["revenue per lead"] == "2,450, n = 1,534"


def test_a_period_that_has_closed_without_a_report_is_named(world: World) -> None:
    reported(world, "2008-07")
    assert "The report of 2008-08 has not been made yet.\nPeriod 2008-07: " in look(world)
    reported(world, "2008-08")
    world.later(days=1)
    assert "has not been made" not in look(world)


def test_a_report_of_a_period_that_is_yet_to_come_is_not_told(world: World) -> None:
    """A clock that was set back: nothing is told of the future, nor is a period called missing that was reported."""
    reported(world, "2008-07")
    reported(world, "2008-09")
    told = look(world)
    assert told.startswith("nothing can be told: the newest report is of 2008-09, which ends at 2008-10-01, and by the")
    assert world.house.events.events(kind="alert") == []


def test_it_is_told_where_its_route_leads_and_links_to_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_receiver() as receiver:
        monkeypatch.setenv("ALERTS_HOOK", receiver.url)
        channels = {"hook": {"kind": "webhook", "secret": "ALERTS_HOOK"}}
        world = World.make(tmp_path / "a home", {"channels": channels, "routes": {"report": ["hook"]}})
        reported(world)
        look(world)
        assert world.deliver() == "hook: 1 of 1 told"
        assert world.deliver() == "hook: nothing is due"
        [post] = receiver.posts
    assert post.json["dashboard_link"] == f"{world.house.settings.pages.url}/report-2008-08.html"
    assert post.json["metrics"]["period"] == "2008-08"


def test_as_shipped_nobody_outside_is_told(world: World) -> None:
    reported(world)
    look(world)
    assert "no channel is set" in world.deliver()


@pytest.mark.parametrize(
    ("made", "alerts", "told"),
    [
        (False, {}, "nothing can be told: there is no report of any period"),
        (True, {"daily_report_hour": None}, "no daily report is wanted (alerts.daily_report_hour"),
    ],
)
def test_where_there_is_none_it_says_why(made: bool, alerts: dict[str, None], told: str, tmp_path: Path) -> None:
    world = World.make(tmp_path / "a home", alerts)
    if made:
        reported(world)
    assert told in look(world)
    assert world.episodes() == []


def test_a_digest_leads_to_the_dashboard() -> None:
    alert = raised("info", "daily report", topic="report")
    with_page = type(alert)(**{**vars(alert), "page": "report-2008-08.html"})
    place = Place("free-zone", "https://monitoring.example.org/lead-scoring/")
    assert place.link(message(with_page)) == "https://monitoring.example.org/lead-scoring/report-2008-08.html"
    assert "?episode=" in place.link(message(with_page, raised()))
    assert payloads.webhook(message(with_page), place)["dashboard_link"] == place.link(message(with_page))
