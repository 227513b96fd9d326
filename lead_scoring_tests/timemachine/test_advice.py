"""The advice and what becomes of it: the choice, the settings file, the page."""

from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.settings import SETTINGS_FILE, parse_settings
from lead_scoring_assets.setup import simulated_settings
from lead_scoring_assets.timemachine.policies import AS_SET, CATALOGUE, NEVER, Policy
from lead_scoring_assets.timemachine.recommendation import recommend
from lead_scoring_assets.timemachine.replay import Replay
from lead_scoring_assets.timemachine.report import render
from lead_scoring_assets.timemachine.settings_file import with_policy
from lead_scoring_assets.timemachine.several import across
from lead_scoring_assets.timemachine.uncertainty import NOTHING, Interval
from lead_scoring_tests.timemachine.worlds import SETTINGS

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Judged:
    policy: Policy
    money: float
    difference: Interval
    against_best: Interval
    over_periods: Interval | None = None
    against_set: Interval | None = None
    by_world: tuple[float, ...] = ()


def judged(name: str, more: float, half: float, behind: tuple[float, float] = (0.0, 0.0)) -> Judged:
    wide = Interval(more, more - half, more + half, more - 2 * half, more + 2 * half)
    return Judged(Policy(name, ""), 1_000 + more, wide, Interval(-1.0, *behind, *behind))


NOBODY = Judged(Policy(NEVER, ""), 1_000, NOTHING, NOTHING)


def test_of_those_that_cannot_be_told_apart_the_first_is_advised() -> None:
    simple = judged("simple", 80, 10, (-60, 20))
    worse = judged("worse", 50, 10, (-90, -10))
    best = judged("best", 100, 10)
    advised = recommend([NOBODY, worse, simple, best], "EUR", "b")
    assert (advised.policy.name, advised.is_shown) == ("simple", True)
    assert "cannot be told apart from best; it is the simplest" in advised.reasons[1]
    assert recommend([NOBODY, worse, best], "EUR", "b").policy.name == "best"
    assert len(recommend([NOBODY, best], "EUR", "b").reasons) == 1


def test_a_difference_that_may_not_come_again_is_called_so() -> None:
    best = judged("best", 100, 10)
    rare = replace(best, over_periods=Interval(100.0, -50.0, 400.0, -90.0, 500.0))
    often = replace(best, over_periods=Interval(100.0, 50.0, 400.0, 20.0, 500.0))
    assert "[-50, +400]: the difference rests on few events" in recommend([NOBODY, rare], "EUR", "b").reasons[-1]
    assert len(recommend([NOBODY, often], "EUR", "b").reasons) == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [((5.0, 30.0), "a change pays"), ((-5.0, 30.0), "no difference is shown"), ((-30.0, -5.0), "a loss")],
)
def test_the_rule_that_is_set_is_what_the_advice_is_weighed_against(more: tuple[float, float], told: str) -> None:
    best = replace(judged("best", 100, 10), against_set=Interval(sum(more) / 2, *more, *more))
    [_, reason] = recommend([NOBODY, best], "EUR", "b").reasons
    assert reason.startswith("Against the rule that is set now: ")
    assert reason.endswith(f"{told}.")


def test_in_how_many_histories_it_was_better_is_told() -> None:
    best = replace(judged("best", 100, 10), by_world=(120.0, -7.0, 0.0, 90.0))
    [_, reason] = recommend([NOBODY, best], "EUR", "b").reasons
    assert reason == "It beat never retraining in 2 of 4 histories: -7 EUR in the worst."


def test_what_is_set_stays_where_it_is_as_good() -> None:
    now, best = judged(AS_SET, 90, 10, (-30, 10)), judged("best", 100, 10)
    assert "it is what is set already" in recommend([NOBODY, now, best], "EUR", "b").reasons[1]


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0.1, 1e4)), max_size=6))
def test_what_is_not_surely_better_is_never_advised(found: list[tuple[float, float]]) -> None:
    results = [NOBODY, *(judged(str(i), more, half) for i, (more, half) in enumerate(found))]
    advised = recommend(results, "EUR", "b")
    chosen = next(result for result in results if result.policy == advised.policy)
    assert advised.is_shown == any(result.difference.low_of_all > 0 for result in results)
    assert chosen.difference.low_of_all > 0 if advised.is_shown else chosen is NOBODY
    assert all(reason for reason in advised.reasons)


def shipped() -> dict[str, str]:
    return {
        "bank": (ROOT / SETTINGS_FILE).read_text(encoding="utf-8"),
        "simulated": simulated_settings(),
        "made up": SETTINGS,
    }


@pytest.mark.parametrize("home", ["bank", "simulated", "made up"])
def test_every_policy_can_be_written_into_every_shipped_file(home: str) -> None:
    text = shipped()[home]
    before = parse_settings(text, "before")
    for policy in CATALOGUE:
        written = with_policy(text, policy, ["because of 1,000 leads: it is so"])
        assert parse_settings(written, "after") == policy.applied_to(before)
        if not policy.changes(before):
            assert written == text
            continue
        assert "# because of 1,000 leads: it is so" in written
        lost = {line.partition("#")[2] for line in text.splitlines()} - {
            line.partition("#")[2] for line in written.splitlines()
        }
        assert not lost, "a comment of the person's is gone"


def test_what_cannot_be_placed_is_not_guessed() -> None:
    text = SETTINGS.replace(
        "retraining: {causes: [performance], ", 'retraining:\n    "causes": [performance]\n    x: {'
    )
    text = text.replace("    x: {cooldown_days: 0, backoff_days: 0, backoff_days_at_most: 0}\n", "")
    with pytest.raises(
        SettingsError, match=r"cannot be edited: expected one key a line.*set these by hand: retraining:"
    ):
        with_policy(text, CATALOGUE[2], [])


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href") or name == "xlink:href"]


def test_the_page_stands_alone_and_names_every_policy(turning_replay: Replay) -> None:
    advised = recommend(turning_replay.results, "EUR", "b")
    page = render(turning_replay, advised)
    found = Page(page)
    assert found.tags.count("svg") == 2
    assert "script" not in found.tags
    # Only the drawing's own parts are referred to.
    assert all(link.startswith("#") for link in found.loaded)
    for result in turning_replay.results:
        assert page.count(result.policy.name) >= 2
    assert f"{turning_replay.oracle_money:,.0f}" in page
    assert "whoever was called" in page or "Outcomes are what they were" in page
    assert page == render(turning_replay, advised)


def test_several_histories_have_a_picture_and_a_table_of_their_own(
    turning_replay: Replay, steady_replay: Replay
) -> None:
    worlds = across([turning_replay, steady_replay, turning_replay])
    advised = recommend(worlds, "EUR", "b")
    page = render(turning_replay, advised, worlds)
    assert Page(page).tags.count("svg") == 3
    assert "Over 3 simulated histories" in page
    assert "2 of 3" in page
    assert render(turning_replay, advised).count("histories, this one") == 0


def test_policies_that_did_the_same_are_called_so(turning_replay: Replay) -> None:
    page = render(turning_replay, recommend(turning_replay.results, "EUR", "b"))
    # Nobody who watches features alone sees this world turn.
    assert page.count("(here the same as never)") >= 2


def test_what_people_named_is_text_in_the_page(steady_replay: Replay) -> None:
    odd = replace(steady_replay.results[1], policy=Policy("<b>&$x$", "<script>"))
    replayed = replace(steady_replay, results=(steady_replay.results[0], odd))
    page = render(replayed, recommend(replayed.results, "EUR", "b"))
    assert "script" not in Page(page).tags
    assert "b" not in Page(page).tags
    assert "&lt;b&gt;&amp;$x$" in page
