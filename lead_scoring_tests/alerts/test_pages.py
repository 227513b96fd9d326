"""The pages that links in messages open, served over HTTP: what they show is on record, and nothing of it becomes markup."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lead_scoring_assets.alerts.answers import acknowledge
from lead_scoring_assets.alerts.delivery.payloads import Place
from lead_scoring_assets.serve_ui import serve_pages
from lead_scoring_tests.alerts.receivers import http_receiver
from lead_scoring_tests.alerts.worlds import World, message

EVIL = "<script>alert('größe')</script>"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with http_receiver() as receiver:
        monkeypatch.setenv("ALERTS_HOOK", receiver.url)
        channels = {"hook": {"kind": "webhook", "secret": "ALERTS_HOOK"}}
        routes = {"warning": ["hook"], "critical": ["hook"]}
        yield World.make(tmp_path / "a home", {"channels": channels, "routes": routes})


@pytest.fixture
def address(world: World) -> Iterator[str]:
    with serve_pages(world.house, 0) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def test_the_link_of_a_message_opens_its_episode(world: World, address: str) -> None:
    world.raise_("alert-run-größe&x", "warning", "raw leads", message=EVIL, evidence={"n": 1_200}, periods=("2008-08",))
    world.later(minutes=5)
    world.raise_("alert-run-2", "critical", "raw leads", message="worse")
    world.deliver()
    acknowledge(world.house, "alert-run-2", "Mona Haddad", "clearing the disk")
    [episode] = world.episodes()
    status, page = get(Place("x", address).link(message(episode.alerts[0])))
    assert status == 200
    for told in ("raw leads", "critical, acknowledged", "worse", "1200", "2008-08", "hook", "delivered"):
        assert told in page, told
    assert "Mona Haddad looks after it since 2008-09-01 00:05 UTC: clearing the disk" in page
    assert "alert-run-größe&amp;x" in page
    assert "<script>" not in page
    world.end("alert-run-größe&x", "alert-run-2")
    assert "over since 2008-09-01 00:05 UTC" in get(f"{address}/?episode=alert-run-2")[1]


def test_the_front_page_lists_what_lasts_and_the_reports(world: World, address: str) -> None:
    (world.home.reports / "report-2008-08.html").write_text("<!doctype html>the report")
    (world.home.reports / "notes.txt").write_text("not a page")
    too_many = "raw_leads:few_rejected failed: 2008-08: 12 of 100 rows were rejected" + " and more" * 40
    world.raise_("alert-check-1", "warning", "raw_leads:few_rejected", message=too_many)
    world.raise_("alert-check-2", "warning", "raw_leads:few_rejected")
    world.raise_("alert-run-1", "critical", "retraining")
    world.raise_("alert-run-2", "critical", "arrival")
    world.end("alert-run-2")
    status, page = get(address)
    assert status == 200
    assert page.index("?episode=alert-run-1") < page.index("?episode=alert-check-1")
    assert "alert-run-2" not in page
    assert "<br>2008-08: 12 of 100 rows were rejected and more" in page
    assert page.count(" and more") < 20
    assert "open alerts: 1 critical, 2 warning, in 2 episodes" in page
    assert "Leads and outcomes are real" in page
    assert 'href="report-2008-08.html"' in page
    assert "notes.txt" not in page
    assert get(f"{address}/report-2008-08.html") == (200, "<!doctype html>the report")


def test_what_is_not_there_is_said(world: World, address: str) -> None:
    assert "None has been made yet" in get(address)[1]
    status, page = get(f"{address}/?episode=%3Cscript%3E")
    assert (status, "No alert is called &lt;script&gt;." in page, "<script>" in page) == (404, True, False)
    assert get(f"{address}/?episode=")[0] == 200
    assert get(f"{address}/../lead_scoring.yaml")[0] == 404
    assert world.episodes() == []


def test_head_has_no_body(world: World, address: str) -> None:
    assert world.home.reports.is_dir()
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 100
    connection.close()
