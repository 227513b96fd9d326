"""Small pictures for Dagster's metadata: a Markdown image, because the UI has no plot type of its own."""

import base64
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.drawing import (
    BLUE,
    COLORS,
    GREEN,
    GREY,
    INK,
    LETTER_PX,
    RED,
    Panel,
    Span,
    picture,
    span_of,
    ticks,
)

Floats = npt.NDArray[np.float64]

_UNIT: Span = (0.0, 1.0)
_WIDTH, _SQUARE = 480, 288
_ROW = 21  # pixels of a bar and the room around it


def bar_plot(values: Mapping[str, float], title: str, line_at: float | None = None) -> str:
    """Horizontal bars, largest on top, as a Markdown image."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    panel = _bars(dict(ordered), BLUE, [*values.values(), *([] if line_at is None else [line_at])])
    if line_at is not None:
        panel.line([line_at, line_at], panel.y, RED, dashed=True)
    return _markdown([panel], title)


def histogram_plot(values: Sequence[float], title: str) -> str:
    """Counts of probabilities in twentieths, as a Markdown image."""
    counts, edges = np.histogram(values, bins=20, range=_UNIT)
    panel = Panel(58, 26, _WIDTH - 76, 116, _UNIT, (0, max(1.0, 1.05 * counts.max())))
    for count, low, high in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        panel.box((low, high), (0, count), BLUE)
    panel.frame()
    panel.below(ticks(panel.x))
    panel.beside(ticks(panel.y, 4))
    return _markdown([panel], title)


def calibration_plot(labels: Floats, scores: Floats, title: str) -> str:
    """Share that converted against mean probability, in tenths of the leads; on the diagonal a score keeps its promise."""
    from sklearn.calibration import calibration_curve

    converted, promised = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    top = (0.0, max(float(converted.max()), float(promised.max())) * 1.05 or 1.0)
    panel = _square(top, top, ("mean probability", "converted"))
    panel.line(top, top, GREY, dashed=True)
    panel.line(promised, converted, BLUE)
    panel.dots(promised, converted, BLUE, radius=3.5)
    return _markdown([panel], title)


def roc_plot(others: Floats, converted: Floats, title: str) -> str:
    """Share of the other leads (across) and of the converted ones (up) above each score; the diagonal is chance."""
    return _step_plot(others, converted, (0, 1), ("other leads reached", "converted leads reached"), title)


def precision_recall_plot(recall: Floats, precision: Floats, rate: float, title: str) -> str:
    """Share of those called that convert (up) over the share of conversions reached; chance keeps to the rate."""
    return _step_plot(recall, precision, (rate, rate), ("conversions reached", "of those called, converted"), title)


def gains_plot(called: Floats, reached: Floats, title: str) -> str:
    """Share of the conversions (up) that calling the best-scored share of the leads reaches; the diagonal is chance."""
    return _step_plot(called, reached, (0, 1), ("leads called", "conversions reached"), title)


def curve_plot(curves: Mapping[str, tuple[Floats, Floats, Floats]], title: str, along: str) -> str:
    """Curves over 0, 1, 2 … with the band of their intervals (value, low, high), as a Markdown image."""
    longest = max((len(value) for value, _, _ in curves.values()), default=2)
    highest = max((float(np.nanmax(high)) for _, _, high in curves.values()), default=1.0) * 1.05 or 1.0
    panel = Panel(58, 26, _WIDTH - 76, 180, (0, max(1, longest - 1)), (0, highest))
    colors = dict(zip(curves, COLORS, strict=False))
    for name, color in colors.items():
        value, low, high = curves[name]
        # A value holds until the next one: a corner at both ends of its day.
        days = np.repeat(np.arange(len(value)), 2)[1:]
        panel.band(days, np.repeat(low, 2)[:-1], np.repeat(high, 2)[:-1], color)
        panel.line(days, np.repeat(value, 2)[:-1], color)
    panel.frame()
    panel.below(ticks(panel.x, 10), along)
    panel.beside(ticks(panel.y))
    panel.legend(colors)
    return _markdown([panel], title)


def trials_plot(points: Mapping[str, tuple[Sequence[int], Sequence[float]]], title: str) -> str:
    """Value of each trial against its number, a colour for each group, and the best so far as a line; a Markdown image."""
    ordered = sorted(pair for numbers, values in points.values() for pair in zip(numbers, values, strict=True))
    numbers, values = np.array([number for number, _ in ordered]), np.array([value for _, value in ordered])
    panel = Panel(62, 26, _WIDTH - 80, 160, span_of(numbers), span_of(values))
    panel.line(np.repeat(numbers, 2)[1:], np.repeat(np.maximum.accumulate(values), 2)[:-1], GREY)
    colors = dict(zip(points, COLORS, strict=False))
    for name, color in colors.items():
        panel.dots(*points[name], color)
    panel.frame()
    panel.below({at: text for at, text in ticks(panel.x, 10).items() if at == round(at)}, "trial")
    panel.beside(ticks(panel.y))
    panel.legend({**colors, "best so far": GREY})
    return _markdown([panel], title)


def interval_plot(values: Mapping[str, tuple[float, float, float]], title: str, along: str) -> str:
    """Horizontal bars with their intervals (value, low, high), largest on top, as a Markdown image."""
    ordered = sorted(values.items(), key=lambda item: -item[1][0])
    reached = [figure for three in values.values() for figure in three]
    panel = _bars({name: value for name, (value, _, _) in ordered}, BLUE, reached, along)
    for row, (_, (_, low, high)) in enumerate(reversed(ordered)):
        panel.line((low, high), (row, row), INK)
    return _markdown([panel], title)


def reason_plot(effects: Mapping[str, float], title: str, most: int = 10) -> str:
    """What raises the odds to the right, what lowers them to the left: the `most` largest, largest on top."""
    ordered = sorted(effects.items(), key=lambda item: -abs(item[1]))[:most]
    colors = {name: BLUE if effect >= 0 else RED for name, effect in ordered}
    panel = _bars(dict(ordered), colors, [effect for _, effect in ordered], "change of the log odds")
    panel.line((0, 0), panel.y, INK)
    return _markdown([panel], title)


def dependence_plot(panels: Mapping[str, Sequence[tuple[str, float, float, float]]], title: str) -> str:
    """Effect in log odds with its interval (name, value, low, high) for each value of a feature, one panel a feature."""
    drawn = []
    for place, (name, points) in enumerate(panels.items()):
        reached = span_of([0.0, *(figure for _, *figures in points for figure in figures)])
        panel = Panel(58, 46 + 186 * place, _WIDTH - 76, 104, (-0.5, max(1, len(points)) - 0.5), reached)
        panel.line(panel.x, (0, 0), GREY, dashed=True)
        for at, (_, value, low, high) in enumerate(points):
            panel.line((at, at), (low, high), BLUE)
            panel.dots([at], [value], BLUE, radius=3)
        panel.frame(name)
        panel.below({at: _short(group) for at, (group, *_) in enumerate(points)}, slanted=True)
        panel.beside(ticks(panel.y, 5))
        drawn.append(panel)
    return _markdown(drawn, title, below=60)


def periods_plot(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    keys: Sequence[str],
    title: str,
    intervals: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]] | None = None,
) -> str:
    """Lines over periods, one panel a figure and one line a name; a period without a figure (NaN) is a gap.

    `intervals`: of the figures of some panels and lines, drawn as bars.
    """
    drawn, places, every = [], np.arange(len(keys)), max(1, -(-len(keys) // 30))
    for place, (name, lines) in enumerate(panels.items()):
        bars = (intervals or {}).get(name, {})
        ends = [end for spans in bars.values() for span in spans for end in span]
        reached = span_of([*(value for values in lines.values() for value in values), *ends])
        panel = Panel(62, 46 + 186 * place, 560, 114, (-0.5, max(1, len(keys)) - 0.5), reached)
        colors = dict(zip(lines, (GREY, BLUE, RED, GREEN), strict=False))
        for line, color in colors.items():
            panel.line(places, lines[line], color)
            panel.dots(places, lines[line], color, radius=2)
            for at, span in enumerate(bars.get(line, ())):
                panel.line((at, at), span, color)
        panel.frame(name)
        panel.below({at: key for at, key in enumerate(keys) if (len(keys) - 1 - at) % every == 0}, slanted=True)
        panel.beside(ticks(panel.y, 5))
        panel.legend(colors)
        drawn.append(panel)
    return _markdown(drawn, title, below=50)


def svg_of(image: str) -> bytes:
    """The SVG file inside a Markdown image."""
    return base64.b64decode(image.split("base64,", 1)[1].rstrip(")"))


def _bars(values: dict[str, float], color: str | Mapping[str, str], reached: Sequence[float], along: str = "") -> Panel:
    """A bar for each name, the first on top, from nothing to its value; the last one's middle is at height 0."""
    named = 16 + LETTER_PX * max((len(_short(name)) for name in values), default=0)
    rows = max(1, len(values))
    panel = Panel(named, 26, max(240, _WIDTH - 18 - named), _ROW * rows, span_of([0.0, *reached]), (-0.5, rows - 0.5))
    for row, (name, value) in enumerate(reversed(values.items())):
        panel.box((0, value), (row - 0.4, row + 0.4), color if isinstance(color, str) else color[name])
    panel.frame()
    panel.below(ticks(panel.x), along)
    panel.beside({row: _short(name) for row, name in enumerate(reversed(values))})
    return panel


def _square(x: Span, y: Span, names: tuple[str, str]) -> Panel:
    panel = Panel(58, 26, _SQUARE - 76, _SQUARE - 70, x, y)
    panel.frame()
    panel.below(ticks(x), names[0])
    panel.beside(ticks(y), names[1])
    return panel


def _step_plot(across: Floats, up: Floats, chance: tuple[float, float], names: tuple[str, str], title: str) -> str:
    """A curve between 0 and 1 and, dashed, what chance gives."""
    panel = _square(_UNIT, (0, 1.02), names)
    panel.line(_UNIT, chance, GREY, dashed=True)
    panel.line(across, up, BLUE)
    return _markdown([panel], title)


def _short(name: str, most: int = 34) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _markdown(panels: Sequence[Panel], title: str, below: int = 40) -> str:
    """The panels under each other as one image; `below`: the pixels that the text under the last one takes."""
    width = max([panel.left + panel.width + 18 for panel in panels] or [_WIDTH])
    width = max(width, 1.2 * LETTER_PX * len(title) + 20)
    height = max([panel.top + panel.height + below for panel in panels] or [40])
    drawn = picture(width, height, [part for panel in panels for part in panel.parts], title)
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()})"
