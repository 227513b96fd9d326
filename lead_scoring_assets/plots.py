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


def _markdown(figure, title: str) -> str:  # type: ignore[no-untyped-def]
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return f"![{title}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
