"""The injected clock: the replay clock moves forward only, whole or not at all, and says what is wrong with it."""

import json
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from lead_scoring_assets.clock import FixedClock, ReplayClock, SystemClock, open_clock
from lead_scoring_assets.errors import LeadScoringError

JUNE = datetime(2008, 6, 1, tzinfo=UTC)
JULY = datetime(2008, 7, 1, tzinfo=UTC)


def test_the_system_clock_is_the_machines() -> None:
    before = datetime.now(UTC)
    assert before <= SystemClock().now() <= datetime.now(UTC)
    assert SystemClock().now().tzinfo == UTC


def test_a_fixed_clock_stands_still_in_utc() -> None:
    clock = FixedClock(datetime(2008, 6, 1, 4, tzinfo=timezone(timedelta(hours=4))))
    assert [clock.now(), clock.now()] == [JUNE, JUNE]
    assert clock.now().utcoffset() == timedelta(0)
    with pytest.raises(LeadScoringError, match=r"2008-06-01 00:00:00 has no time zone"):
        FixedClock(datetime(2008, 6, 1))  # noqa: DTZ001


def test_another_clock_on_the_same_file_sees_the_move(tmp_path: Path) -> None:
    path = tmp_path / "data" / "clock.json"
    ReplayClock(path).move_to(JUNE)
    assert ReplayClock(path).now() == JUNE
    ReplayClock(path).move_to(JULY.astimezone(timezone(timedelta(hours=-5))))
    assert ReplayClock(path).now() == JULY
    assert json.loads(path.read_text()) == {"now": "2008-07-01T00:00:00+00:00"}
    assert [p.name for p in path.parent.iterdir()] == ["clock.json"]


def test_the_replay_clock_cannot_go_back(tmp_path: Path) -> None:
    clock = ReplayClock(tmp_path / "clock.json")
    clock.move_to(JULY)
    clock.move_to(JULY)
    with pytest.raises(
        LeadScoringError, match=r"stands at 2008-07-01.*cannot go back to 2008-06-01.*delete .*clock\.json"
    ):
        clock.move_to(JUNE)
    assert clock.now() == JULY
    with pytest.raises(LeadScoringError, match="has no time zone"):
        clock.move_to(datetime(2009, 1, 1))  # noqa: DTZ001


def test_a_clock_that_was_not_started_says_how_to_start_it(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    with pytest.raises(LeadScoringError, match=r"has not been started: expected .*clock\.json.*lead-scoring prepare"):
        ReplayClock(path).now()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"null", b'{"then": 1}', b'{"now": 5}', b'{"now": null}', b'{"now": "soon"}', b"\xff\xfe",
     b'{"now": "2008-06-01T00:00:00"}', b'{"now": "2008-06-01T00:0'],
)  # fmt: skip
def test_a_damaged_file_is_named_with_its_remedy(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    path.write_bytes(content)
    for use in (ReplayClock(path).now, lambda: ReplayClock(path).move_to(JUNE)):
        with pytest.raises(LeadScoringError, match=r"clock\.json is damaged .* Delete it, and `lead-scoring prepare`"):
            use()
    assert path.read_bytes() == content
    path.unlink()
    ReplayClock(path).move_to(JUNE)
    assert ReplayClock(path).now() == JUNE


def test_a_failed_move_leaves_the_old_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ReplayClock(tmp_path / "clock.json")
    clock.move_to(JUNE)

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        clock.move_to(JULY)
    assert clock.now() == JUNE


def test_a_reader_never_sees_half_a_move(tmp_path: Path) -> None:
    clock = ReplayClock(tmp_path / "clock.json")
    clock.move_to(JUNE)
    done = threading.Event()

    def move() -> None:
        for hour in range(300):
            ReplayClock(tmp_path / "clock.json").move_to(JUNE + timedelta(hours=hour))
        done.set()

    mover = threading.Thread(target=move)
    mover.start()
    seen = [clock.now()]
    while not done.is_set():
        seen.append(clock.now())
    mover.join()
    assert seen == sorted(seen)
    assert clock.now() == JUNE + timedelta(hours=299)


def test_the_settings_word_opens_the_clock(tmp_path: Path) -> None:
    assert isinstance(open_clock("replay", tmp_path / "clock.json"), ReplayClock)
    assert isinstance(open_clock("system", tmp_path / "clock.json"), SystemClock)
