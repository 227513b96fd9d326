"""Alerts become episodes: one problem is one episode, whatever the number of alerts, and ends when all of them have."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.alerts.episodes import episodes_of, joins, open_alerts
from lead_scoring_assets.alerts.kinds import ACKNOWLEDGED, KIND, LEVELS, RESOLVED, Level, rank
from lead_scoring_assets.events.log import Event
from lead_scoring_tests.alerts.worlds import NOW


def told(
    name: str,
    minute: int,
    *,
    subject: str = "s",
    level: Level = "warning",
    episode: str | None = None,
    periods: tuple[str, ...] = (),
    topic: str = "problem",
) -> Event:
    evidence = {"level": level, "topic": topic, "episode_id": episode or name, "periods": list(periods)}
    return Event(name, KIND, subject, NOW + timedelta(minutes=minute), "sensor", "bad", evidence)


def ended(name: str, minute: int, periods: tuple[str, ...] = ()) -> Event:
    at = NOW + timedelta(minutes=minute)
    return Event(f"{name}-over-{minute}", RESOLVED, name, at, "sensor", "good", {"periods": list(periods)})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(LEVELS), st.booleans()), max_size=25))
def test_at_any_time_a_subject_has_at_most_one_open_episode_and_its_messages_get_worse(
    steps: list[tuple[str, Level, bool]],
) -> None:
    """Alerts and ends in any order: `joins` puts each alert where it belongs."""
    events: list[Event] = []
    for minute, (subject, level, is_end) in enumerate(steps):
        known = episodes_of(events)
        if is_end:
            events += [ended(alert.alert_id, minute) for alert in open_alerts(known) if alert.subject == subject]
        else:
            name = f"alert-{minute}"
            found = joins(subject, level, "problem", known)
            events.append(told(name, minute, subject=subject, level=level, episode=found or name))
        episodes = episodes_of(events)
        lasting = [episode.subject for episode in episodes if episode.is_open]
        assert len(lasting) == len(set(lasting))
        assert sum(len(episode.alerts) for episode in episodes) == sum(event.kind == KIND for event in events)
        for episode in episodes:
            ranks = [rank(alert.level) for alert in episode.rises]
            assert ranks == sorted(set(ranks))
            assert episode.level == max((alert.level for alert in episode.alerts), key=rank)
            assert (episode.resolved_at is None) or not episode.is_open


def test_news_opens_nothing_and_never_joins() -> None:
    news = told("alert-1", 0, level="info", topic="deployment")
    problem = told("alert-2", 1)
    episodes = episodes_of([news, problem])
    assert [episode.is_open for episode in episodes] == [False, True]
    assert joins("s", "info", "problem", episodes) is None
    assert joins("s", "critical", "deployment", episodes) is None
    assert joins("s", "critical", "problem", episodes) == "alert-2"


def test_named_periods_end_one_by_one() -> None:
    alert = told("alert-1", 0, periods=("2008-07", "2008-08"))
    [half] = open_alerts(episodes_of([alert, ended("alert-1", 1, ("2008-07",))]))
    assert half.resolved_periods == {"2008-07"}
    events = [alert, ended("alert-1", 1, ("2008-07",)), ended("alert-1", 2, ("2008-08",))]
    [episode] = episodes_of(events)
    assert episode.resolved_at == NOW + timedelta(minutes=2)


def test_who_acknowledged_a_warning_has_not_acknowledged_what_came_of_it() -> None:
    answer = Event("a", ACKNOWLEDGED, "alert-1", NOW + timedelta(minutes=1), "Mona", "I look")
    worse = told("alert-2", 2, level="critical", episode="alert-1")
    [episode] = episodes_of([told("alert-1", 0), answer, worse])
    assert [episode.is_acknowledged(alert) for alert in episode.rises] == [True, False]
    again = Event("b", ACKNOWLEDGED, "alert-1", NOW + timedelta(minutes=3), "Omar", "and I")
    [episode] = episodes_of([told("alert-1", 0), answer, worse, again])
    assert episode.is_acknowledged(episode.rises[-1])
    assert episode.acknowledged is not None
    assert episode.acknowledged.by == "Omar"


def test_alerts_from_before_there_were_episodes_are_episodes_of_their_own() -> None:
    event = Event("alert-old", KIND, "s", NOW, "sensor", "bad", {"level": "critical"})
    [episode] = episodes_of([event])
    assert (episode.episode_id, episode.is_open, episode.level) == ("alert-old", True, "critical")
