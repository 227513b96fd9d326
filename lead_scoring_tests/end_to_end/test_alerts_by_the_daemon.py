"""The product as people run it, with channels: its daemon tells receivers of an alert, and of its end; its link opens."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.settings import Home
from lead_scoring_tests.alerts.receivers import HttpReceiver, http_receiver
from lead_scoring_tests.alerts.worlds import World
from lead_scoring_tests.conftest import MakeHome, environment

pytestmark = pytest.mark.slow
_PATIENCE_SECONDS = 240


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(look: Callable[[], object], what: str) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.5)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def world(make_home: MakeHome, receiver: HttpReceiver) -> World:
    """A home without data, whose critical alerts go to a webhook and to a pager."""
    home = make_home("told")
    channels = {
        "hook": {"kind": "webhook", "secret": "ALERTS_WEBHOOK_URL"},
        "pager": {"kind": "pagerduty", "secret": "PAGERDUTY_ROUTING_KEY", "server": receiver.url},
    }
    settings = home / "lead_scoring.yaml"
    text = (
        settings.read_text(encoding="utf-8")
        .replace("port: 3070", f"port: {free_port()}")
        .replace("port: 8000", f"port: {free_port()}")
    )
    text = text.replace("sensor_interval_seconds: 30", "sensor_interval_seconds: 5")
    more = {"alerts": {"channels": channels, "routes": {"critical": ["hook", "pager"]}}}
    settings.write_text(f"{text}\n{yaml.safe_dump(more)}", encoding="utf-8")
    world = World(Home(home))
    ReplayClock(world.home.clock_file).move_to(datetime(2008, 9, 1, tzinfo=UTC))
    return world


def test_the_daemon_delivers_an_alert_and_its_end_and_the_link_opens(
    world: World, receiver: HttpReceiver, bank_mirror: Path
) -> None:
    secrets = {"ALERTS_WEBHOOK_URL": f"{receiver.url}/hook", "PAGERDUTY_ROUTING_KEY": "R0"}
    product = subprocess.Popen(
        [str(Path(sys.executable).with_name("lead-scoring")), "start", "--port", str(free_port())],
        cwd=world.home.root,
        env={**environment(world.home.root, bank_mirror), **secrets},
        stderr=subprocess.DEVNULL,
    )
    try:
        world.raise_("alert-run-1", "critical", message="the disk is full")
        wait_for(lambda: len(receiver.posts) == 2, "the alert")
        hook, pager = sorted(receiver.posts, key=lambda post: post.path)
        assert (hook.path, hook.json["action"], hook.json["message"]) == ("/hook", "raise", "the disk is full")
        assert (pager.path, pager.json["event_action"]) == ("/v2/enqueue", "trigger")
        with urllib.request.urlopen(hook.json["dashboard_link"], timeout=30) as page:
            assert "the disk is full" in page.read().decode()
        world.end("alert-run-1")
        wait_for(lambda: len(receiver.posts) == 4, "the alert's end")
        ended = {post.path: post.json for post in receiver.posts[2:]}
        assert ended["/hook"]["action"] == "resolve"
        assert ended["/v2/enqueue"] == {"routing_key": "R0", "dedup_key": "alert-run-1", "event_action": "resolve"}
    finally:
        product.send_signal(signal.SIGTERM)
        assert product.wait(timeout=60) == 0
