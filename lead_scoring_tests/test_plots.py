"""Pictures: whatever is drawn can be read by a browser, lies inside the picture, and is to scale."""

import base64
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets import plots
from lead_scoring_assets.drawing import Panel, span_of, ticks

SVG = "{http://www.w3.org/2000/svg}"
FIGURE = st.one_of(st.floats(-1e12, 1e12), st.just(math.nan))
NAME = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=60)
INTERVALS = st.dictionaries(NAME, st.tuples(FIGURE, FIGURE, FIGURE), max_size=12)


def drawn(image: str) -> ElementTree.Element:
    """The picture as a browser reads it, inside the Markdown image that Dagster's UI shows."""
    found = re.fullmatch(r"!\[.*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", image)
    assert found
    assert plots.svg_of(image) == base64.b64decode(found[1])
    return ElementTree.fromstring(plots.svg_of(image))


def boxes(picture: ElementTree.Element, color: str) -> list[tuple[float, float]]:
    """Left edge and width of each box of a colour, from top to bottom."""
    found = [box for box in picture.iter(f"{SVG}rect") if box.get("fill") == color]
    return [(float(box.get("x", "")), float(box.get("width", ""))) for box in found]


def texts(picture: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in picture.iter(f"{SVG}text")]


def lies_inside(picture: ElementTree.Element) -> bool:
    """Whether every number is one, and every shape lies within the picture."""
    width, height = float(picture.get("width", "")), float(picture.get("height", ""))
    places = []
    for shape in picture.iter():
        if (points := shape.get("points")) is not None:
            places += [tuple(map(float, point.split(","))) for point in points.split()]
        for x, y in (("cx", "cy"), ("x", "y")):
            if x in shape.attrib:
                places.append((float(shape.attrib[x]), float(shape.attrib[y])))
    return bool(places) and all(0 <= x <= width and 0 <= y <= height for x, y in places)


@settings(max_examples=40)
@given(INTERVALS)
def test_any_name_and_any_figure_can_be_drawn(values: dict[str, tuple[float, float, float]]) -> None:
    keys, figures = list(values), [value for value, _, _ in values.values()]
    for image in (
        plots.bar_plot({name: value for name, (value, _, _) in values.items()}, "bars", 0.2),
        plots.interval_plot(values, "intervals", "along"),
        plots.reason_plot({name: value for name, (value, _, _) in values.items()}, "reasons"),
        plots.dependence_plot({"a & <b>": [(name, *three) for name, three in values.items()]}, "dependence"),
        plots.periods_plot({"one": {"line": figures}, "other": {}}, keys, "periods"),
    ):
        assert lies_inside(drawn(image)), image


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_curves_of_scores_can_be_drawn(leads: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([score for score, _ in leads]), np.array([float(label) for _, label in leads])
    shares = np.linspace(0, 1, len(leads))
    for image in (
        plots.histogram_plot(scores.tolist(), "scores"),
        plots.calibration_plot(labels, scores, "calibration"),
        plots.roc_plot(shares, np.sort(scores), "ROC"),
        plots.precision_recall_plot(shares, np.sort(scores)[::-1], labels.mean(), "precision"),
        plots.gains_plot(shares, shares**0.5, "gains"),
        plots.curve_plot({"known": (scores, scores * 0.9, scores)}, "curve", "days"),
        plots.trials_plot({"xgboost": (list(range(len(leads))), scores.tolist())}, "trials"),
    ):
        assert lies_inside(drawn(image)), image


def test_nothing_to_draw_is_a_picture_as_well() -> None:
    for image in (
        plots.bar_plot({}, "nothing"),
        plots.histogram_plot([], "nothing"),
        plots.dependence_plot({}, "nothing"),
        plots.periods_plot({}, [], "nothing"),
        plots.curve_plot({}, "nothing", "days"),
    ):
        assert texts(drawn(image))[0] == "nothing"


@settings(max_examples=40)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=15, unique=True))
def test_bars_are_to_scale_and_the_largest_is_on_top(values: list[float]) -> None:
    picture = drawn(plots.bar_plot({f"feature {value}": value for value in values}, "importance"))
    widths = [width for _, width in boxes(picture, "#4f7cac")][::-1]
    assert widths == sorted(widths, reverse=True)
    assert np.array(widths) / widths[0] == pytest.approx(np.array(sorted(values)[::-1]) / max(values), abs=0.002)
    named = [text for text in texts(picture) if text.startswith("feature ")][::-1]
    assert named == [f"feature {value}" for value in sorted(values, reverse=True)]


def test_what_lowers_the_odds_lies_left_of_nothing_and_only_the_strongest_are_drawn() -> None:
    effects = {f"feature {place}": (-1) ** place * (1 + place / 10) for place in range(14)}
    picture = drawn(plots.reason_plot(effects, "reasons", most=10))
    up, down = boxes(picture, "#4f7cac"), boxes(picture, "#c0392b")
    assert len(up) + len(down) == 10
    assert {text for text in texts(picture) if text.startswith("feature")} == {f"feature {i}" for i in range(4, 14)}
    nothing = up[0][0]
    assert all(left == nothing for left, _ in up)
    assert all(left + width == pytest.approx(nothing, abs=0.11) for left, width in down)


def test_a_period_without_a_figure_is_a_gap() -> None:
    figures = [0.1, 0.2, math.nan, 0.4, 0.5]
    picture = drawn(plots.periods_plot({"AUC": {"champion": figures}}, list("abcde"), "periods"))
    assert [len((line.get("points") or "").split()) for line in picture.iter(f"{SVG}polyline")] == [2, 2]
    assert len(list(picture.iter(f"{SVG}circle"))) == 4


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_round_inside_the_range_and_neither_few_nor_many(low: float, length: float) -> None:
    high = low + length
    if length < 1e-9 * max(abs(low), abs(high)):
        return
    found = list(ticks((low, high)))
    assert 2 <= len(found) <= 8
    assert all(low - 1e-6 * length <= at <= high + 1e-6 * length for at in found)
    step = found[1] - found[0]
    assert np.diff(found) == pytest.approx(step, rel=1e-3)
    assert f"{step:.0e}"[0] in "125"


def test_ticks_say_what_they_are() -> None:
    assert list(ticks((0.0, 1.0)).values()) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert list(ticks((-4e6, 5e6)).values()) == ["-4e+06", "-2e+06", "0", "2e+06", "4e+06"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, unique=True))
def test_a_panel_is_to_scale(values: list[float]) -> None:
    span = span_of(values)
    assert span[0] < min(values) < max(values) < span[1]
    panel = Panel(10, 20, 300, 200, span, span)
    shares = [(value - span[0]) / (span[1] - span[0]) for value in values]
    assert [panel.across(value) for value in values] == pytest.approx([10 + 300 * share for share in shares])
    assert [panel.up(value) for value in values] == pytest.approx([220 - 200 * share for share in shares])
    assert panel.across(span[1] + 1) == 310
