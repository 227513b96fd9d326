"""The drift report with Evidently: one HTML page, our numbers first, then Evidently's picture of both samples and its presets.
Evidently draws and does not judge. Only called in a process of its own (`evidently_process.py`): the import alone is dear."""

import html
import logging
import math
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas as pd

from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.monitoring.drift.measure import FeatureDrift, summarise_drift
from lead_scoring_assets.monitoring.drift.reference import single_column
from lead_scoring_assets.monitoring.reports.evidently_presets import EVIDENTLY_FAILURES, draw_presets
from lead_scoring_assets.monitoring.reports.samples import (
    DRAWN_CATEGORIES,
    SAMPLE_ROWS,
    evenly_spaced,
    finite_numbers,
    frequent_texts,
)

COLOURS = {"drift": "#c62828", "warning": "#ef9f00", "ok": "#78909c"}
ORDER = ("drift", "warning", "not_computable", "insufficient_data", "ok")
HEADER = ["Feature", "Status", "PSI", "PSI debiased", "JS distance", "KS", "Cramér's V", "Adjusted p", "Nulls, ± pp"]

logger = logging.getLogger(__name__)


def render_drift_report(
    target: Path,
    title: str,
    drifts: Sequence[FeatureDrift],
    reference: pd.DataFrame,
    current: pd.DataFrame,
    numeric: list[str],
    categorical: list[str],
    *,
    psi_warning: float = 0.10,
    psi_drift: float = 0.25,
    labelled: pd.DataFrame | None = None,
    rows: tuple[int, int] | None = None,
) -> Path:
    """Write one self-contained HTML page (about 4 MB) to `target`, atomically, and return `target`.

    Every feature is in our part. A column Evidently cannot draw is left out of its part, and the page says why.

    Parameters
    ----------
    drifts : the verdicts of `measure_drift`, over all rows.
    reference, current : the two windows; Evidently gets at most 5,000 evenly spaced rows of each.
    numeric, categorical : columns for Evidently to draw: float64 with NaN, and str with None.
    psi_warning, psi_drift : the limits `measure_drift` was called with, drawn as lines.
    labelled : `score` and `label` (0 or 1) of matured leads, for Evidently's ClassificationPreset; none: without it.
    rows : how many rows the two windows had before they were cut to samples; none: as many as there are here.
    """
    # Evidently's documented switch. Rendering sends nothing in 0.7, and with it a later release will not start to.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        # Evidently 0.7.23 on import: deprecated names (its own and litestar's), unescaped regular expressions.
        # While it draws: 0/0 in the share of missing values, and what pandas is about to change.
        for category in (DeprecationWarning, SyntaxWarning, RuntimeWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        samples = evenly_spaced(reference), evenly_spaced(current)
        drawn, left_out = _draw_samples(*samples, numeric, categorical)
        shown, notes = draw_presets(
            *samples, numeric, categorical, None if labelled is None else evenly_spaced(labelled)
        )
        about = _about_the_samples(*(rows or (len(reference), len(current))), left_out, notes)
        verdicts = _draw_verdicts(title=title, drifts=drifts, limits=(psi_warning, psi_drift), about=about)
        page = _page(title, [*verdicts, *drawn, *shown])
    write_atomically(target, page.encode())
    return target


def _draw_verdicts(*, drifts: Sequence[FeatureDrift], **texts_and_limits: Any) -> list[Any]:
    from evidently import DataDefinition, Dataset, Report

    metric = _verdicts_metric()(drifts=[asdict(drift) for drift in drifts], **texts_and_limits)
    # Evidently asks for data; this metric brings its own.
    run = Report([metric]).run(Dataset.from_pandas(pd.DataFrame(), data_definition=DataDefinition()))
    return list(run.to_snapshot_model().widgets)


@cache  # Evidently keeps every metric class it has seen, so one per process.
def _verdicts_metric() -> type[Any]:
    """The Evidently metric that carries our numbers and draws them; its value is the share of drifted features."""
    from evidently.core.metric_types import SingleValueCalculation, SingleValueMetric

    class FeatureDriftVerdicts(SingleValueMetric):  # type: ignore[misc]  # a library without types
        title: str
        drifts: list[dict[str, Any]]
        limits: tuple[float, float]
        about: str

    class FeatureDriftVerdictsCalculation(SingleValueCalculation[FeatureDriftVerdicts]):  # type: ignore[misc]
        def calculate(self, *_: Any) -> Any:
            drifts = [FeatureDrift(**values) for values in self.metric.drifts]
            result = self.result(summarise_drift(drifts).share_drifted)
            result.widget = _our_widgets(self.metric.title, drifts, self.metric.limits, self.metric.about)
            return result

        def display_name(self) -> str:
            return "Share of drifted features"

    return FeatureDriftVerdicts


def _our_widgets(title: str, drifts: Sequence[FeatureDrift], limits: tuple[float, float], about: str) -> list[Any]:
    from evidently.legacy.renderers.html_widgets import CounterData, counter, plotly_figure, table_data, text_widget

    summary = summarise_drift(drifts)
    drifts = worst_first(drifts)
    counters = {
        "severity": summary.severity,
        "features drifted": f"{summary.n_drifted} of {summary.n_assessed}",
        "features warned": str(summary.n_warned),
        "not assessed": str(summary.n_features - summary.n_assessed),
    }
    reasons = "\n".join(f"- **{_literal(drift.feature)}**: {_literal(drift.reason)}" for drift in drifts)
    chart = plotly_figure(title="How far each feature moved", figure=_psi_chart(drifts, limits))
    return [
        text_widget(text=f"# {_literal(title)}\n\n**{_literal(summary.sentence)}**"),
        counter(counters=[CounterData(label, value) for label, value in counters.items()]),
        *([chart] if summary.n_assessed else []),
        table_data(title="Numbers per feature", column_names=HEADER, data=[table_row(drift) for drift in drifts]),
        text_widget(text=f"## Why\n\n{reasons}"),
        text_widget(text=about),
    ]


def _psi_chart(drifts: Sequence[FeatureDrift], limits: tuple[float, float]) -> Any:
    """Bars of the debiased PSI, the number the limits apply to; cut off where a longer bar would hide the limits."""
    from plotly.graph_objects import Figure  # type: ignore[import-untyped]

    end = 4 * limits[1]
    figure = Figure(layout={"template": "plotly_white", "height": 200 + 26 * len(drifts)})
    for status, colour in COLOURS.items():
        psis = {d.feature: d.psi_debiased for d in drifts if d.status == status and d.psi_debiased is not None}
        names = [html.escape(feature) for feature in psis]  # plotly reads tags in labels
        labels = [f"{psi:.3f}" + (" →" if psi > end else "") for psi in psis.values()]
        figure.add_bar(
            x=[min(max(psi, 0), end) for psi in psis.values()], y=names, text=labels, name=status, orientation="h"
        )
        figure.data[-1].update(marker_color=colour, textposition="outside")
    for limit, status in zip(limits, ("warning", "drift"), strict=True):
        label = {"text": f"{status} {limit:g}", "yref": "paper", "y": 1, "yanchor": "bottom", "xanchor": "center"}
        figure.add_vline(x=limit, line_dash="dash", line_color=COLOURS[status], annotation=label)
    title = f"debiased PSI (bars end at {end:g}, their labels do not)"
    figure.update_xaxes(title=title, range=[-0.05 * end, 1.15 * end])
    return figure.update_yaxes(autorange="reversed", automargin=True)


def worst_first(drifts: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    """In the order in which people should look at them."""
    return sorted(drifts, key=lambda drift: (ORDER.index(drift.status), -(drift.psi_debiased or 0.0)))


def table_row(drift: FeatureDrift) -> list[str]:
    """The cells under `HEADER`, as text."""
    status = drift.status if drift.status == "ok" else drift.status.replace("_", " ").upper()
    distances = (drift.psi, drift.psi_debiased, drift.js_distance, drift.ks_statistic, drift.cramers_v)
    # The alarm needs both p-values to be small; the reason names the larger one, too.
    p_values = [p for p in (drift.adjusted_p_value, drift.minimum_effect_p_value) if p is not None]
    last = [_number(max(p_values, default=None), ".2g"), _number(drift.null_rate_change_pp, "+.1f")]
    return [drift.feature, status, *(_number(distance, ".3f") for distance in distances), *last]


def _draw_samples(
    reference: pd.DataFrame, current: pd.DataFrame, numeric: list[str], categorical: list[str]
) -> tuple[list[Any], list[str]]:
    """Evidently's widgets, and a reason for each column that has none. One report each: none takes others with it."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import ValueStats

    drawn: list[Any] = []
    left_out: list[str] = []
    for name in [*numeric, *categorical]:
        is_numeric = name in numeric
        columns = [single_column(frame, name) for frame in (current, reference)]
        now, before = map(finite_numbers, columns) if is_numeric else frequent_texts(columns)
        empty = [window for window, values in (("reference", before), ("current", now)) if values.isna().all()]
        if empty:
            left_out.append(f"{name} (no value in the {' and '.join(empty)} sample)")
            continue
        definition = DataDefinition(**{"numerical_columns" if is_numeric else "categorical_columns": [name]})
        try:
            samples = [Dataset.from_pandas(rows.to_frame(name), data_definition=definition) for rows in (now, before)]
            drawn += Report([ValueStats(column=name)]).run(*samples).to_snapshot_model().widgets
        except EVIDENTLY_FAILURES as error:
            logger.warning("Evidently cannot draw %s; the report goes without.", name, exc_info=True)
            left_out.append(f"{name} (Evidently failed with {type(error).__name__}: {shorten(str(error), 200)})")
    return drawn, left_out


def _about_the_samples(n_reference: int, n_current: int, left_out: list[str], notes: list[str]) -> str:
    rows = [
        f"{min(n, SAMPLE_ROWS):,} of {n:,} {of} rows" for n, of in ((n_reference, "reference"), (n_current, "current"))
    ]
    about = (
        "## Both samples, side by side\n\n"
        f"Drawn by Evidently from at most {SAMPLE_ROWS:,} evenly spaced rows per window: {rows[0]} and {rows[1]}. "
        "The verdicts above are ours and rest on all rows; none is Evidently's. "
        f"The button “perc” compares shares; categories beyond the {DRAWN_CATEGORIES} most frequent are “(other)”."
    )
    told = [f"Left out: {_literal('; '.join(left_out))}."] if left_out else []
    return "\n\n".join([about, *map(_literal, notes), *told])


def _page(title: str, widgets: list[Any]) -> str:
    """Evidently's page with a data block of ours: its own lets a category named `</script>` end the script element."""
    from evidently.legacy.model.dashboard import DashboardInfo
    from evidently.legacy.renderers.html_widgets import group_widget
    from evidently.legacy.utils.dashboard import TemplateParams, dashboard_info_to_json, file_html_template

    dashboard = DashboardInfo(name=title, widgets=[group_widget(title="", widgets=widgets)])
    page: str = file_html_template(TemplateParams("drift", dashboard, additional_graphs={}, embed_data=False))
    before, place, after = page.partition("<!-- no embedded data -->")
    if not place:
        raise RuntimeError("The page of this Evidently release has no place for its data; 0.7.23 has one.")
    data = dashboard_info_to_json(dashboard).replace("<", r"\u003c")
    script = f"<script>var drift = {data}; var additional_graphs_drift = {{}};</script>"
    return f"{before}<title>{html.escape(title)}</title>{script}{after}"


def _literal(text: str) -> str:
    """Markdown that shows exactly this text, on one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def _number(value: float | None, form: str) -> str:
    return "–" if value is None or math.isnan(value) else format(value, form)
