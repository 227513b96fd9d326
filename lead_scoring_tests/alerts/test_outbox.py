"""From a stored alert to receivers on loopback and back: real tables, real HTTP and SMTP, the injected clock."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.alerts.answers import acknowledge
from lead_scoring_assets.alerts.delivery.outbox import deliveries
from lead_scoring_assets.alerts.delivery.sensors import deliver_alerts
from lead_scoring_assets.alerts.listing import Wanted, alert_rows
from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import SETTINGS_FILE, Home
from lead_scoring_tests.alerts.receivers import HttpReceiver, SmtpReceiver, http_receiver, smtp_receiver, wait_until
from lead_scoring_tests.alerts.worlds import NOW, World

# apprise looks for a module that Python is going to drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
SECRET = "sesame-7f3a"


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def smtp() -> Iterator[SmtpReceiver]:
    with smtp_receiver() as receiver:
        yield receiver


def settings(**more: Any) -> dict[str, Any]:
    """One webhook that hears of everything, unless told otherwise."""
    return {
        "channels": {"hook": {"kind": "webhook", "secret": "HOOK"}},
        "routes": {"warning": ["hook"], "critical": ["hook"], "deployment": ["hook"]},
        "retries": {"first_seconds": 60, "longest_seconds": 3600, "expires_hours": 24},
        **more,
    }


@pytest.fixture
def world(tmp_path: Path, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("HOOK", f"{http.url}/{SECRET}")
    return World.make(tmp_path / "a home", settings())


def test_as_shipped_nothing_leaves_the_machine(tmp_path: Path) -> None:
    world = World.make(tmp_path / "quiet")
    world.raise_()
    assert world.deliver().startswith("no channel is set")
    assert not world.house.lakehouse.exists("alert_deliveries")
    assert len(world.house.events.events(kind="alert")) == 1


def test_a_hundred_alerts_of_one_problem_are_one_message_and_its_end_another(world: World, http: HttpReceiver) -> None:
    with world.desk() as desk:
        for number in range(100):  # the same cause a hundred times, and five causes of the same problem
            desk.raise_(Alert(f"alert-run-{number % 5}", "critical", "retraining", "the disk is full"))
    assert len(world.house.events.events(kind="alert")) == 5
    assert [world.deliver() for _ in range(3)] == ["hook: 1 of 1 told", "hook: nothing is due", "hook: nothing is due"]
    world.later(hours=1)
    world.raise_("alert-run-5")
    world.deliver()
    assert [post.json["action"] for post in http.posts] == ["raise"]
    world.end(*(f"alert-run-{number}" for number in range(5)))
    world.deliver()
    assert len(http.posts) == 1
    world.end("alert-run-5")
    world.deliver()
    assert [post.json["action"] for post in http.posts] == ["raise", "resolve"]
    assert {post.json["episode_id"] for post in http.posts} == {"alert-run-0"}


def test_a_channel_that_is_down_gets_everything_later_and_is_not_pestered(world: World, http: HttpReceiver) -> None:
    http.script = [500, 503]
    world.raise_("alert-1", subject="one")
    world.raise_("alert-2", subject="two")
    assert world.deliver() == "hook: 0 of 2 told (answered 500)"
    assert "tried again at 2008-09-01 00:01:00 UTC" in world.deliver()
    world.later(seconds=60)
    world.deliver()
    world.later(seconds=119)
    world.deliver()
    assert len(http.posts) == 2
    world.later(seconds=1)
    assert world.deliver() == "hook: 2 of 2 told"
    assert [post.json["subject"] for post in http.posts] == ["one", "one", "one", "two"]
    assert len({post.headers["Idempotency-Key"] for post in http.posts}) == 2
    assert [attempt.outcome for attempt in deliveries(world.house)] == ["unreachable"] * 2 + ["delivered"] * 2


def test_retry_after_is_heeded(world: World, http: HttpReceiver) -> None:
    http.script = [(429, {"Retry-After": "600"})]
    world.raise_()
    world.deliver()
    world.later(seconds=599)
    world.deliver()
    assert len(http.posts) == 1
    world.later(seconds=1)
    assert world.deliver() == "hook: 1 of 1 told"


def test_what_is_refused_holds_up_nothing_else(world: World, http: HttpReceiver) -> None:
    http.script = [400]
    world.raise_("alert-1", subject="one")
    world.raise_("alert-2", subject="two")
    world.deliver()
    assert [post.json["subject"] for post in http.posts] == ["one", "two"]
    waits = "hook: 1 wait, because they were refused (answered 400); tried again at 2008-09-01 00:01:00 UTC"
    assert world.deliver() == waits
    world.later(seconds=60)
    assert world.deliver() == "hook: 1 of 1 told"


def test_the_end_says_why_it_is_over_and_what_it_was(world: World, http: HttpReceiver) -> None:
    world.raise_(message="the disk is full")
    world.deliver()
    acknowledge(world.house, "alert-run-1", "Mona", "deleted old dumps", is_over=True)
    world.deliver()
    assert [post.json["message"] for post in http.posts] == [
        "the disk is full",
        "deleted old dumps\nIt was: the disk is full",
    ]


@pytest.mark.parametrize("how", ["over", "expired", "no channel"])
def test_what_is_not_tried_again_is_not_promised(world: World, http: HttpReceiver, how: str) -> None:
    http.script = [500]
    world.raise_()
    world.deliver()
    [row] = alert_rows(world.house, Wanted())
    assert row["told"]["hook"] == "raise: unreachable (answered 500), again from 2008-09-01 00:01:00 UTC"
    if how == "over":
        world.end("alert-run-1")
    elif how == "expired":
        world.later(hours=24, seconds=1)
    else:
        settings_file = world.home.root / SETTINGS_FILE
        settings_file.write_text(settings_file.read_text().replace("hook:", "other:").replace("- hook", "- other"))
        world = World(Home(world.home.root))
    [row] = alert_rows(world.house, Wanted())
    assert row["told"]["hook"].startswith("raise: unreachable (answered 500), not tried again: ")
    world.deliver()
    assert len(http.posts) == (2 if how == "no channel" else 1)


def test_a_clock_that_is_set_back_silences_no_channel(world: World, http: HttpReceiver) -> None:
    """The hour's messages, the cooldown and the pause of a channel that failed all lie in a future that was none."""
    world.later(days=4_000)
    for number in range(20):
        world.raise_(f"alert-{number}", subject=f"subject {number}")
    world.deliver()
    world.end("alert-0")
    world.deliver()
    http.script = [500]
    world.raise_("alert-last", subject="the last")
    world.later(hours=1)
    assert world.deliver() == "hook: 0 of 1 told (answered 500)"
    world.home.clock_file.unlink()
    ReplayClock(world.home.clock_file).move_to(NOW)
    posts = len(http.posts)
    world.raise_("alert-again", subject="subject 0")
    assert world.deliver() == "hook: 2 of 2 told"
    assert {post.json["subject"] for post in http.posts[posts:]} == {"subject 0", "the last"}
    assert world.deliver() == "hook: nothing is due", "what was told then is not told again"
    acknowledge(world.house, "alert-1", "Mona", "I look")
    [row] = alert_rows(world.house, Wanted(episode="alert-1"))
    assert row["acknowledged"]["by"] == "Mona"


def test_every_channel_down_changes_nothing_else(
    tmp_path: Path, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four kinds of broken channel; the one that works is told, and the alert is on record."""
    names = ("gone", "unset", "nonsense", "hook")
    world = World.make(
        tmp_path / "a home",
        settings(
            channels={name: {"kind": "webhook", "secret": name.upper()} for name in names},
            routes={"critical": list(names)},
        ),
    )
    monkeypatch.setenv("GONE", "http://127.0.0.1:1/")
    monkeypatch.setenv("NONSENSE", "nonsense")
    monkeypatch.setenv("HOOK", http.url)
    world.raise_()
    assert "hook: 1 of 1 told" in world.deliver()
    assert len(http.posts) == 1
    [row] = alert_rows(world.house, Wanted())
    assert {channel: words.split(" (")[0] for channel, words in row["told"].items() if channel != "hook"} == {
        "gone": "raise: unreachable",
        "unset": "raise: refused",
        "nonsense": "raise: refused",
    }
    assert row["told"]["hook"] == "raise: delivered 2008-09-01 00:00:00 UTC"
    assert (row["state"], row["level"]) == ("open", "critical")


def test_more_than_an_hours_messages_come_in_one(
    tmp_path: Path, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", http.url)
    world = World.make(tmp_path / "a home", settings(messages_an_hour=3))
    for number in range(10):
        world.raise_(f"alert-{number}", subject=f"subject {number}")
    assert world.deliver() == "hook: 10 of 10 told"
    assert [len(post.json["alert_ids"]) for post in http.posts] == [1, 1, 8]
    world.raise_("alert-late", subject="late")
    world.later(minutes=59)
    assert world.deliver() == "hook: 1 wait, because no more than 3 messages an hour are sent"
    world.later(minutes=1)
    assert world.deliver() == "hook: 1 of 1 told"
    world.end("alert-0", "alert-9")
    world.deliver()
    assert [post.json["episode_id"] for post in http.posts[4:]] == ["alert-0"], (
        "what came in one message ends as a whole"
    )
    world.end(*(f"alert-{number}" for number in range(2, 9)))
    world.deliver()
    assert [post.json["action"] for post in http.posts[4:]] == ["resolve", "resolve"]
    assert http.posts[5].json["title"] == "resolved: 8 alerts told in one message"
    told = [f"[critical] subject {number}" for number in range(2, 10)]
    assert sorted(http.posts[5].json["message"].splitlines()) == told


def test_pagerduty_resolves_what_it_was_told(
    tmp_path: Path, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", SECRET)
    pager = {"kind": "pagerduty", "secret": "KEY", "server": http.url}
    world = World.make(tmp_path / "a home", settings(channels={"pager": pager}, routes={"critical": ["pager"]}))
    world.raise_("alert-run-1")
    world.raise_("alert-check-2", "warning", "another")
    world.deliver()
    world.end("alert-run-1")
    world.deliver()
    assert [(p.json["event_action"], p.json["dedup_key"]) for p in http.posts] == [
        ("trigger", "alert-run-1"),
        ("resolve", "alert-run-1"),
    ]


def test_nobody_acknowledges_and_the_next_tier_is_told_by_mail(
    tmp_path: Path, http: HttpReceiver, smtp: SmtpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", http.url)
    monkeypatch.setenv("MAIL", f"mailto://127.0.0.1:{smtp.port}/?from=a@example.org&to=boss@example.org")
    channels = {"hook": {"kind": "webhook", "secret": "HOOK"}, "boss": {"kind": "email", "secret": "MAIL"}}
    tiers = [{"after_minutes": 15, "channels": ["boss"]}]
    world = World.make(tmp_path / "a home", settings(channels=channels, escalation=tiers, timeout_seconds=60.0))
    world.raise_("alert-1", subject="one")
    world.raise_("alert-2", subject="two")
    world.deliver()
    acknowledge(world.house, "alert-2", "Mona", "I look")
    world.later(minutes=14)
    world.deliver()
    assert smtp.mails == []
    world.later(minutes=1)
    world.deliver()
    world.deliver()
    assert [mail["Subject"] for mail in smtp.parsed()] == ["[critical] not acknowledged: one"]


def test_secrets_are_in_no_table_log_or_sentence(
    world: World, http: HttpReceiver, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    http.script = [500, 404, "trickle"]
    told = []
    for number in range(4):
        world.raise_(f"alert-{number}", subject=f"s{number}")
        told.append(world.deliver())
        world.later(hours=1)
    assert http.posts[0].path == f"/{SECRET}"
    kept = [path for path in world.home.data.rglob("*") if path.is_file()]
    assert any(path.suffix == ".parquet" for path in kept)
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []
    rows = json.dumps(alert_rows(world.house, Wanted()))
    assert SECRET not in "".join(told) + rows + caplog.text + "".join(capfd.readouterr())


CHILD = """
import sys
from pathlib import Path
from lead_scoring_assets.alerts.delivery.outbox import deliver
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import Home
print(deliver(Installation(Home(Path(sys.argv[1])))))
"""


def test_killed_between_sending_and_recording_it_tells_again_with_the_same_key(
    world: World, http: HttpReceiver
) -> None:
    http.script = ["never"]
    world.raise_("alert-1", subject="one")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(world.home.root)], env=os.environ, stdout=subprocess.PIPE
    )
    wait_until(lambda: http.posts)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert deliveries(world.house) == []
    assert world.deliver() == "hook: 1 of 1 told"
    assert len({post.headers["Idempotency-Key"] for post in http.posts}) == 1
    assert [post.json["alert_ids"] for post in http.posts] == [["alert-1"]] * 2


def test_two_at_once_tell_once(world: World, http: HttpReceiver) -> None:
    for number in range(5):
        world.raise_(f"alert-{number}", subject=f"s{number}")
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(world.home.root)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = sorted(child.communicate(timeout=120)[0].strip() for child in children)
    assert told == ["hook: 5 of 5 told", "hook: nothing is due"]
    assert len(http.posts) == 5


def test_the_sensor_says_what_it_did(world: World, http: HttpReceiver) -> None:
    world.raise_()
    for told in ("hook: 1 of 1 told", "hook: nothing is due"):
        with dg.build_sensor_context(
            resources={"installation": InstallationResource(root=str(world.home.root))}
        ) as context:
            assert deliver_alerts.evaluate_tick(context).skip_message == told
    assert len(http.posts) == 1
