"""Small pictures for Dagster's metadata: a Markdown image, because the UI has no plot type of its own."""

import base64
import io
from collections.abc import Mapping, Sequence


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


def _markdown(figure, title: str) -> str:  # type: ignore[no-untyped-def]
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return f"![{title}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
