"""Small pictures for Dagster's metadata: a Markdown image, because the UI has no plot type of its own."""

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def bar_plot(values: Mapping[str, float], title: str, line_at: float | None = None) -> str:
    """Horizontal bars, largest on top, as a Markdown image of about 15 kB."""
    from matplotlib.figure import Figure

    ordered = sorted(values.items(), key=lambda item: item[1])
    figure = Figure(figsize=(6, 0.5 + 0.26 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color="#4f7cac")
    if line_at is not None:
        axes.axvline(line_at, color="#c0392b", linestyle="--", linewidth=1)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    return _markdown(figure, title)


def histogram_plot(values: Sequence[float], title: str) -> str:
    """Counts of probabilities in twentieths, as a Markdown image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(values, bins=20, range=(0, 1), color="#4f7cac")
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    return _markdown(figure, title)


def calibration_plot(labels: Floats, scores: Floats, title: str) -> str:
    """Share that converted against mean probability, in tenths of the leads; on the diagonal a score keeps its promise."""
    from matplotlib.figure import Figure
    from sklearn.calibration import calibration_curve

    converted, promised = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    top = max(float(converted.max()), float(promised.max())) * 1.05
    figure = Figure(figsize=(3.6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, top], [0, top], color="#999999", linestyle="--", linewidth=1)
    axes.plot(promised, converted, color="#4f7cac", marker="o")
    axes.set_xlabel("mean probability", fontsize=8)
    axes.set_ylabel("converted", fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    return _markdown(figure, title)


def roc_plot(others: Floats, converted: Floats, title: str) -> str:
    """Share of the other leads (across) and of the converted ones (up) above each score; the diagonal is chance."""
    return _step_plot(others, converted, ([0, 1], [0, 1]), ("other leads reached", "converted leads reached"), title)


def precision_recall_plot(recall: Floats, precision: Floats, rate: float, title: str) -> str:
    """Share of those called that convert (up) over the share of conversions reached; chance keeps to the rate."""
    chance = ([0.0, 1.0], [rate, rate])
    return _step_plot(recall, precision, chance, ("conversions reached", "of those called, converted"), title)


def gains_plot(called: Floats, reached: Floats, title: str) -> str:
    """Share of the conversions (up) that calling the best-scored share of the leads reaches; the diagonal is chance."""
    return _step_plot(called, reached, ([0, 1], [0, 1]), ("leads called", "conversions reached"), title)


def _step_plot(
    across: Floats,
    up: Floats,
    chance: tuple[Sequence[float], Sequence[float]],
    names: tuple[str, str],
    title: str,
) -> str:
    """A curve between 0 and 1 and, dashed, what chance gives."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(*chance, color="#999999", linestyle="--", linewidth=1)
    axes.plot(across, up, color="#4f7cac")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(names[0], fontsize=8)
    axes.set_ylabel(names[1], fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    return _markdown(figure, title)


def curve_plot(curves: Mapping[str, tuple[Floats, Floats, Floats]], title: str, along: str) -> str:
    """Curves over 0, 1, 2 … with the band of their intervals (value, low, high), as a Markdown image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for color, (name, (value, low, high)) in zip(("#4f7cac", "#c0392b", "#999999"), curves.items(), strict=False):
        days = np.arange(len(value))
        axes.fill_between(days, low, high, step="post", color=color, alpha=0.2)
        axes.step(days, value, where="post", color=color, label=name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(along, fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    axes.tick_params(labelsize=8)
    return _markdown(figure, title)


def trials_plot(points: Mapping[str, tuple[Sequence[int], Sequence[float]]], title: str) -> str:
    """Value of each trial against its number, a colour for each group, and the best so far as a line; a Markdown image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    for color, (name, (numbers, values)) in zip(("#4f7cac", "#c0392b", "#2e8b57"), points.items(), strict=False):
        axes.scatter(numbers, values, color=color, s=14, label=name)
    ordered = sorted(pair for numbers, values in points.values() for pair in zip(numbers, values, strict=True))
    best = np.maximum.accumulate([value for _, value in ordered])
    axes.step([number for number, _ in ordered], best, where="post", color="#999999", linewidth=1, label="best so far")
    axes.set_xlabel("trial", fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    axes.tick_params(labelsize=8)
    return _markdown(figure, title)


def interval_plot(values: Mapping[str, tuple[float, float, float]], title: str, along: str) -> str:
    """Horizontal bars with their intervals (value, low, high), largest on top, as a Markdown image."""
    from matplotlib.figure import Figure

    ordered = sorted(values.items(), key=lambda item: item[1][0])
    height, low, high = np.array([figures for _, figures in ordered], dtype=np.float64).reshape(-1, 3).T
    # An interval that is not known has no length.
    reach = np.nan_to_num(np.clip([height - low, high - height], 0, None))
    figure = Figure(figsize=(6, 0.8 + 0.26 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    axes.barh([_literal(name) for name, _ in ordered], height, xerr=reach, color="#4f7cac", ecolor="#333333")
    axes.set_xlabel(along, fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    return _markdown(figure, title)


def reason_plot(effects: Mapping[str, float], title: str, most: int = 10) -> str:
    """What raises the odds to the right, what lowers them to the left: the `most` largest, largest on top."""
    from matplotlib.figure import Figure

    ordered = sorted(effects.items(), key=lambda item: abs(item[1]))[-most:]
    figure = Figure(figsize=(6, 0.8 + 0.26 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    colors = ["#4f7cac" if effect >= 0 else "#c0392b" for _, effect in ordered]
    axes.barh([_literal(name) for name, _ in ordered], [effect for _, effect in ordered], color=colors)
    axes.axvline(0, color="#333333", linewidth=1)
    axes.set_xlabel("change of the log odds", fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    return _markdown(figure, title)


def dependence_plot(panels: Mapping[str, Sequence[tuple[str, float, float, float]]], title: str) -> str:
    """Effect in log odds with its interval (name, value, low, high) for each value of a feature, one panel a feature."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.2 * max(1, len(panels))), layout="constrained")
    for axes, (name, points) in zip(
        figure.subplots(max(1, len(panels)), squeeze=False)[:, 0], panels.items(), strict=False
    ):
        value, low, high = np.array([figures for _, *figures in points], dtype=np.float64).reshape(-1, 3).T
        reach = np.nan_to_num(np.clip([value - low, high - value], 0, None))
        places = np.arange(len(points))
        axes.errorbar(places, value, yerr=reach, fmt="o", color="#4f7cac", markersize=4, capsize=2)
        axes.axhline(0, color="#999999", linestyle="--", linewidth=1)
        axes.set_xticks(places, [_literal(group) for group, *_ in points], rotation=30, ha="right")
        axes.set_title(_literal(name), fontsize=9)
        axes.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=10)
    return _markdown(figure, title)


def periods_plot(panels: Mapping[str, Mapping[str, Sequence[float]]], keys: Sequence[str], title: str) -> str:
    """Lines over periods, one panel a figure and one line a name; a period without a figure (NaN) is a gap."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.4 * max(1, len(panels))), layout="constrained")
    for axes, (name, lines) in zip(
        figure.subplots(max(1, len(panels)), squeeze=False, sharex=True)[:, 0], panels.items(), strict=False
    ):
        for color, (line, values) in zip(("#999999", "#4f7cac", "#c0392b", "#2e8b57"), lines.items(), strict=False):
            axes.plot(np.arange(len(keys)), values, color=color, marker="o", markersize=3, linewidth=1, label=line)
        axes.set_xticks(np.arange(len(keys)), list(keys), rotation=60, ha="right")
        axes.set_title(name, fontsize=9)
        axes.legend(fontsize=7)
        axes.tick_params(labelsize=7)
    figure.suptitle(_literal(title), fontsize=10)
    return _markdown(figure, title)


def png_of(picture: str) -> bytes:
    """The image inside a Markdown image."""
    return base64.b64decode(picture.split("base64,", 1)[1].rstrip(")"))


def _literal(text: str) -> str:
    """A name that holds a dollar sign is no formula."""
    return text.replace("$", r"\$")


def _markdown(figure, title: str) -> str:  # type: ignore[no-untyped-def]
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return f"![{title}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
