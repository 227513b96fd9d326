"""The nightly schedule: at two o'clock where the people are, for what is over and has no scores, and with a word otherwise."""

import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first: it silences dagster's notes on the parts used on purpose
from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.predictions import schedules
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome

dg = pytest.importorskip("dagster")
NIGHT = datetime(2026, 3, 1, 22, tzinfo=UTC)
SCORES = dg.AssetKey("lead_scores")


def asked(home: Home, instance: "dg.DagsterInstance") -> "list[dg.RunRequest] | dg.SkipReason":
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=NIGHT,
        resources={"installation": InstallationResource(root=str(home.root))},
    )
    return schedules.score_nightly(context)


def test_what_is_over_and_has_no_scores_is_asked_for_once_a_night(make_home: MakeHome, tmp_path: Path) -> None:
    home = Home(make_home("nightly"))
    clock = ReplayClock(home.clock_file)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        clock.move_to(datetime(2008, 5, 31, tzinfo=UTC))
        assert asked(home, instance).skip_message == "no period is over yet"
        clock.move_to(datetime(2008, 9, 1, tzinfo=UTC))
        for key in ("2008-05", "2008-07"):
            instance.report_runless_asset_event(dg.AssetMaterialization(SCORES, partition=key))
        requests = asked(home, instance)
        assert [(r.partition_key, r.run_key) for r in requests] == [
            ("2008-06", "nightly-2008-06-2026-03-01"),
            ("2008-08", "nightly-2008-08-2026-03-01"),
        ]
        for key in ("2008-06", "2008-08"):
            instance.report_runless_asset_event(dg.AssetMaterialization(SCORES, partition=key))
        told = asked(home, instance).skip_message
        assert told == "all 4 periods that are over, up to 2008-08, have their scores"
        clock.move_to(datetime(2010, 9, 1, tzinfo=UTC))  # after a long pause: the earliest first, not all at once
        requests = asked(home, instance)
        assert [r.partition_key for r in requests][::11] == ["2008-09", "2009-08"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Dubai"])
def test_two_oclock_is_the_installations(make_home: MakeHome, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    home = make_home("nightly-zone")
    settings: Path = home / "lead_scoring.yaml"
    settings.write_text(settings.read_text() + f"\nsources: {{time_zone: {zone}}}\n")
    monkeypatch.setenv("LEAD_SCORING_HOME", str(home))
    found = runpy.run_path(str(schedules.__file__))["score_nightly"]
    assert (found.cron_schedule, found.execution_timezone, found.job_name) == ("0 2 * * *", zone, "arrival")
