"""Who is told of what and when: routes, cooldown, escalation, resolution, rate limit, back-off. All pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.alerts.delivery.attempts import failures_in_a_row, paused_until, retry_at, room_left, waits
from lead_scoring_assets.alerts.delivery.notices import Action, Delivery, Message, Notice, Outcome, due, messages
from lead_scoring_assets.alerts.episodes import Acknowledgement, Episode, RaisedAlert
from lead_scoring_assets.settings import Alerts, Channel, Retries, Routes, Tier
from lead_scoring_tests.alerts.worlds import NOW, raised

MINUTE = timedelta(minutes=1)
NAMES = ("slack", "team", "on_call", "pager", "boss", "news")
SETTINGS = Alerts(
    channels={name: Channel(kind="webhook", secret="HOOK") for name in NAMES},
    routes=Routes(warning=("slack", "team"), critical=("slack", "on_call", "pager"), deployment=("news",)),
    escalation=(Tier(after_minutes=15, channels=("boss",)), Tier(after_minutes=60, channels=("boss", "team"))),
)


def episode(*alerts: RaisedAlert, acknowledged: Acknowledgement | None = None) -> Episode:
    return Episode(alerts[0].episode_id, alerts, acknowledged)


def channels(notices: Sequence[Notice]) -> set[str]:
    return {notice.channel for notice in notices}


def sent(notice: Notice, at: datetime, outcome: Outcome = "delivered", again: datetime | None = None) -> Delivery:
    return Delivery(
        notice.notice_id,
        notice.notice_id,
        notice.dedup_key,
        notice.episode.episode_id,
        notice.channel,
        notice.action,
        notice.alert.level,
        notice.alert.subject,
        at,
        outcome,
        None if outcome == "delivered" else "no",
        again,
    )


@pytest.mark.parametrize(
    ("alert", "told"),
    [
        (raised("info"), set()),
        (raised("warning"), {"slack", "team"}),
        (raised("critical"), {"slack", "on_call", "pager"}),
        (raised("info", topic="deployment"), {"news"}),
    ],
)
def test_the_policy_says_who_is_told(alert: RaisedAlert, told: set[str]) -> None:
    assert channels(due([episode(alert)], [], SETTINGS, NOW)) == told


def test_what_was_told_is_not_told_again_and_what_gets_worse_is() -> None:
    warning = raised("warning")
    told = [sent(notice, NOW) for notice in due([episode(warning)], [], SETTINGS, NOW)]
    again = [replace(warning, alert_id=f"alert-run-{n}", raised_at=NOW + n * MINUTE) for n in range(2, 102)]
    assert due([episode(warning, *again)], told, SETTINGS, NOW + 200 * MINUTE) == []
    worse = replace(raised(), alert_id="alert-run-102", episode_id=warning.episode_id, raised_at=NOW + 200 * MINUTE)
    found = due([episode(warning, *again, worse)], told, SETTINGS, NOW + 200 * MINUTE)
    assert channels(found) == {"slack", "on_call", "pager"}
    assert {notice.dedup_key for notice in found} == {warning.episode_id}


def test_a_subject_that_was_told_of_is_left_alone_for_the_cooldown_and_then_told_if_it_lasts() -> None:
    over = raised(resolved_at=NOW + MINUTE)
    told = [sent(notice, NOW) for notice in due([episode(replace(over, resolved_at=None))], [], SETTINGS, NOW)]
    again = raised(alert_id="alert-run-2", at=NOW + 2 * MINUTE)

    def news(now: datetime, *episodes: Episode) -> set[str]:
        return channels([n for n in due(episodes, told, SETTINGS, now) if n.action == "raise"])

    both = episode(over), episode(again)
    assert news(NOW + 29 * MINUTE, *both) == set()
    assert news(NOW + 30 * MINUTE, *both) == {"slack", "on_call", "pager"}
    assert news(NOW + 30 * MINUTE, both[0], episode(replace(again, resolved_at=NOW + 5 * MINUTE))) == set()
    other = raised(alert_id="alert-run-3", subject="another", at=NOW + 2 * MINUTE)
    assert news(NOW + 2 * MINUTE, *both, episode(other)) == {"slack", "on_call", "pager"}


def test_a_cooldown_after_a_warning_does_not_hold_up_a_critical() -> None:
    over = raised("warning", resolved_at=NOW + MINUTE)
    told = [sent(notice, NOW) for notice in due([episode(replace(over, resolved_at=None))], [], SETTINGS, NOW)]
    worse = raised(alert_id="alert-run-2", at=NOW + 2 * MINUTE)
    found = due([episode(over), episode(worse)], told, SETTINGS, NOW + 2 * MINUTE)
    assert {n.channel for n in found if n.action == "raise"} == {"slack", "on_call", "pager"}


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(14, []), (15, ["tier-1/boss"]), (59, ["tier-1/boss"]), (60, ["tier-1/boss", "tier-2/boss", "tier-2/team"])],
)
def test_a_critical_that_nobody_acknowledged_goes_up_tier_by_tier(minutes: int, told: list[str]) -> None:
    found = due([episode(raised())], [], SETTINGS, NOW + minutes * MINUTE)
    assert [n.notice_id.split("/", 1)[1] for n in found if n.action == "escalate"] == told


@pytest.mark.parametrize(
    "quiet",
    [
        episode(raised(), acknowledged=Acknowledgement(NOW + MINUTE, "Mona", "I look")),
        episode(raised(resolved_at=NOW + MINUTE)),
        episode(raised("warning")),
    ],
)
def test_what_is_acknowledged_or_over_or_a_warning_does_not(quiet: Episode) -> None:
    assert [n for n in due([quiet], [], SETTINGS, NOW + 90 * MINUTE) if n.action == "escalate"] == []


def test_its_end_is_told_where_it_was_told_once_and_nowhere_else() -> None:
    lasting = episode(raised())
    told = [sent(n, NOW) for n in due([lasting], [], SETTINGS, NOW) if n.channel != "on_call"]
    over = episode(raised(resolved_at=NOW + MINUTE))
    found = due([over], told, SETTINGS, NOW + MINUTE)
    assert {(n.channel, n.action, n.dedup_key) for n in found} == {
        ("slack", "resolve", "alert-run-1"),
        ("pager", "resolve", "alert-run-1"),
    }
    assert due([over], [*told, *(sent(n, NOW + MINUTE) for n in found)], SETTINGS, NOW + 2 * MINUTE) == []


def test_what_was_told_together_ends_together() -> None:
    one, other = (raised(alert_id=f"alert-run-{n}", subject=str(n)) for n in (1, 2))
    notices = [n for n in due([episode(one), episode(other)], [], SETTINGS, NOW) if n.channel == "pager"]
    [digest] = messages(notices, 1)
    told = [replace(sent(n, NOW), message_id=digest.message_id, dedup_key=digest.dedup_key) for n in digest.notices]
    over = [episode(replace(alert, resolved_at=NOW + MINUTE)) for alert in (one, other)]
    after = NOW + MINUTE
    assert [n for n in due([over[0], episode(other)], told, SETTINGS, after) if n.action == "resolve"] == []
    [end] = [n for n in due(over, told, SETTINGS, after) if n.action == "resolve"]
    assert (end.dedup_key, end.channel) == (digest.dedup_key, "pager")


def test_what_is_older_than_a_day_is_not_told_any_more() -> None:
    day = timedelta(hours=SETTINGS.retries.expires_hours)
    assert due([episode(raised("warning"))], [], SETTINGS, NOW + day) != []
    assert due([episode(raised("warning"))], [], SETTINGS, NOW + day + MINUTE) == []


def notice(number: int, action: Action = "raise") -> Notice:
    alert = raised(alert_id=f"alert-{number}", subject=f"s{number}")
    return Notice(f"n{number}", alert.episode_id, "slack", action, alert, episode(alert), NOW)


@given(st.integers(0, 60), st.integers(0, 10), st.integers(0, 30))
def test_no_more_messages_than_there_is_room_and_no_notice_is_lost(news: int, ends: int, room: int) -> None:
    notices = [notice(n) for n in range(news)] + [notice(100 + n, "resolve") for n in range(ends)]
    found = messages(notices, room)
    raises = [each for each in found if each.action != "resolve"]
    assert len(raises) == min(news, room)
    told = [each.notice_id for message in found for each in message.notices]
    assert len(told) == len(set(told))
    assert len(told) == (news if room else 0) + ends
    assert [len(each.notices) for each in found if each.action == "resolve"] == [1] * ends


@given(st.permutations([notice(n) for n in range(6)]))
def test_a_digest_that_is_sent_again_has_the_same_key(notices: list[Notice]) -> None:
    assert {each.message_id for each in messages(notices, 1)} == {
        messages([notice(n) for n in range(6)], 1)[0].message_id
    }


# Attempts.


@given(st.integers(0, 10_000), st.none() | st.floats(0, 1e9))
def test_waits_double_up_to_the_longest_and_heed_the_receiver(failures: int, asked: float | None) -> None:
    settings = Retries(first_seconds=30, longest_seconds=3600)
    wait = (retry_at(NOW, failures, asked, settings) - NOW).total_seconds()
    assert wait == pytest.approx(min(max(min(30 * 2 ** min(failures, 7), 3600), asked or 0), 3600))
    assert retry_at(NOW, failures + 1, asked, settings) >= retry_at(NOW, failures, asked, settings)


def test_a_channel_pauses_after_nobody_was_there_and_goes_on_after_a_refusal() -> None:
    later = NOW + MINUTE
    assert paused_until([]) is None
    assert paused_until([sent(notice(1), NOW, "unreachable", later)]) == later
    assert paused_until([sent(notice(1), NOW, "unreachable", later), sent(notice(1), NOW)]) is None
    refused = [sent(notice(1), NOW, "refused", later)]
    assert paused_until(refused) is None
    assert [waits(notice(n), refused, NOW) for n in (1, 2)] == [True, False]
    assert not waits(notice(1), refused, later)


def test_failures_in_a_row_count_messages_and_stop_at_a_success() -> None:
    down = [replace(sent(notice(n), NOW, "unreachable"), message_id="digest") for n in range(5)]
    assert failures_in_a_row(down, "unreachable") == 1
    assert failures_in_a_row([*down, sent(notice(9), NOW + MINUTE, "unreachable")], "unreachable") == 2
    assert failures_in_a_row([*down, sent(notice(9), NOW + MINUTE)], "unreachable") == 0


@given(st.lists(st.integers(0, 179), max_size=60))
def test_the_limit_holds_in_every_hour(minutes: list[int]) -> None:
    """Alerts at any minutes of three hours: whoever sends only while there is room never exceeds the limit."""
    settings = Alerts(messages_an_hour=3)
    told: list[Delivery] = []
    waiting: list[Notice] = []
    for minute in range(240):
        now = NOW + minute * MINUTE
        waiting += [notice(1000 * minute + n) for n in range(minutes.count(minute))]
        ready: list[Message] = messages(waiting, room_left(told, settings, now))
        waiting = [] if ready else waiting
        told += [replace(sent(n, now), message_id=each.message_id) for each in ready for n in each.notices]
    times = [at for _, at in sorted({(attempt.message_id, attempt.attempted_at) for attempt in told})]
    for at in times:
        assert sum(at <= other < at + timedelta(hours=1) for other in times) <= settings.messages_an_hour
    assert waiting == []
