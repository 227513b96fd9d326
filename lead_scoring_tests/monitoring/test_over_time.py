"""Figures by period: those that rest on most leads, never one that was not told, and none of a later period."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from math import nan
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.over_time import SHOWN_PERIODS, Figure, figures_of, over_time
from lead_scoring_assets.periods import PeriodCalendar
from lead_scoring_assets.plots import svg_of

CALENDAR = PeriodCalendar("month", datetime(2020, 1, 1, tzinfo=UTC))
MONTHS = CALENDAR.through(CALENDAR.period("2023-12"))
KEYS = [period.key for period in MONTHS]
PANELS = {"ranking": {"area": "auc"}, "level": {"promised": "mean_score", "came": "rate"}}
STATUSES = ["ok", "warning", "drift", "insufficient_data", "not_computable"]
ROWS = st.builds(
    dict,
    period=st.sampled_from(KEYS[:4]),
    metric=st.sampled_from(["auc", "rate"]),
    value=st.none() | st.floats(0, 1),
    low=st.none() | st.floats(0, 1),
    high=st.none() | st.floats(0, 1),
    n=st.integers(0, 5),
    status=st.sampled_from(STATUSES),
)


@given(st.lists(ROWS, max_size=30))
def test_what_rests_on_most_is_told_and_what_is_not_enough_never(rows: list[dict[str, Any]]) -> None:
    found = figures_of(rows, "n")
    told = [row for row in rows if row["value"] is not None and row["status"] in ("ok", "warning", "drift")]
    assert {(period, name) for period, of_it in found.items() for name in of_it} == {
        (row["period"], row["metric"]) for row in told
    }
    for period, of_it in found.items():
        for name, (value, low, high) in of_it.items():
            mine = [row for row in told if (row["period"], row["metric"]) == (period, name)]
            [first, *_] = [row for row in mine if row["n"] == max(row["n"] for row in mine)]
            assert value == first["value"]
            assert str((low, high)) == str(
                tuple(nan if first[side] is None else first[side] for side in ("low", "high"))
            )


def drawn(figures: dict[str, dict[str, Figure]], last: int) -> ET.Element | None:
    told = over_time(figures, PANELS, MONTHS[last], "by month")
    return None if told is None else ET.fromstring(svg_of(told))


def texts(picture: ET.Element) -> set[str | None]:
    return {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}


def test_a_period_shows_itself_and_those_before_it() -> None:
    figures: dict[str, dict[str, Figure]] = {key: {"auc": (0.7, 0.6, 0.8)} for key in KEYS}
    assert drawn(figures, 0) is None
    for last in (1, SHOWN_PERIODS - 1, SHOWN_PERIODS + 1):
        picture = drawn(figures, last)
        assert picture is not None
        shown = [key for key in KEYS if key in texts(picture)]
        every = -(-min(last + 1, SHOWN_PERIODS) // 30)
        assert shown == KEYS[max(0, last + 1 - SHOWN_PERIODS) : last + 1][::-1][::every][::-1]
        circles = len(list(picture.iter("{http://www.w3.org/2000/svg}circle")))
        assert circles == min(last + 1, SHOWN_PERIODS)  # of the other metrics there is nothing


def test_a_period_of_which_nothing_shown_is_known_has_no_place() -> None:
    figures: dict[str, dict[str, Figure]] = {
        KEYS[0]: {"auc": (0.7, 0.6, 0.8)},
        KEYS[1]: {"something else": (1.0, nan, nan)},
        KEYS[2]: {"rate": (0.1, nan, nan)},
    }
    picture = drawn(figures, 3)
    assert picture is not None
    assert {KEYS[0], KEYS[2]} <= texts(picture)
    assert not {KEYS[1], KEYS[3]} & texts(picture)
    assert drawn(figures, 1) is None


def test_the_interval_is_drawn_around_its_figure() -> None:
    picture = drawn({key: {"auc": (0.7, 0.6, 0.8)} for key in KEYS[:2]}, 1)
    assert picture is not None
    lines = [(line.get("points") or "").split() for line in picture.iter("{http://www.w3.org/2000/svg}polyline")]
    upright = [line for line in lines if len(line) == 2 and line[0].split(",")[0] == line[1].split(",")[0]]
    assert len(upright) == 2
    heights = [[float(point.split(",")[1]) for point in line] for line in upright]
    middle = {float(circle.get("cy") or "nan") for circle in picture.iter("{http://www.w3.org/2000/svg}circle")}
    assert {round(sum(ends) / 2, 1) for ends in heights} == {round(next(iter(middle)), 1)}
    assert len(middle) == 1
