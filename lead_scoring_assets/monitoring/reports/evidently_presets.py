"""Evidently's own presets, next to our numbers: what its defaults say of the same samples. They decide nothing here."""

import logging
from collections.abc import Callable
from typing import Any

import pandas as pd

from lead_scoring_assets.monitoring.drift.reference import single_column
from lead_scoring_assets.monitoring.reports.samples import finite_numbers, frequent_texts

EVIDENTLY_FAILURES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What Evidently raises on values it did not expect, pydantic's ValidationError (a ValueError) included."""

_THRESHOLD = 0.5

logger = logging.getLogger(__name__)


def draw_presets(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    numeric: list[str],
    categorical: list[str],
    labelled: pd.DataFrame | None,
) -> tuple[list[Any], list[str]]:
    """Widgets of DataDriftPreset and, with labelled leads, ClassificationPreset; and a sentence on each.

    A column without any value in either sample is left out: Evidently would give up the whole preset for it.
    """
    drawn: list[Any] = []
    notes: list[str] = []
    attempts: list[tuple[str, str, Callable[[], list[Any] | None]]] = [
        (
            "DataDriftPreset",
            "last come its own drift tests with their defaults, which alarm more often than the verdicts above",
            lambda: _data_drift(reference, current, numeric, categorical),
        )
    ]
    if labelled is not None and labelled["label"].nunique() == 2:
        about = f"how {len(labelled):,} matured leads turned out, called converted from a score of {_THRESHOLD:g} on"
        attempts.append(("ClassificationPreset", about, lambda: _classification(labelled)))
    for preset, about, draw in attempts:
        try:
            widgets = draw()
        except EVIDENTLY_FAILURES as error:
            logger.warning("Evidently's %s failed; the report goes without.", preset, exc_info=True)
            notes.append(f"Evidently's {preset} is missing: it failed with {type(error).__name__}.")
            continue
        if widgets:
            drawn += widgets
            notes.append(f"Evidently's {preset}: {about}.")
    return drawn, notes


def _data_drift(
    reference: pd.DataFrame, current: pd.DataFrame, numeric: list[str], categorical: list[str]
) -> list[Any] | None:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    now, before = {}, {}
    for name in [*numeric, *categorical]:
        columns = [single_column(frame, name) for frame in (current, reference)]
        mended = list(map(finite_numbers, columns)) if name in numeric else frequent_texts(columns)
        if not any(values.isna().all() for values in mended):
            now[name], before[name] = (values.reset_index(drop=True) for values in mended)
    if not now:
        return None
    definition = DataDefinition(
        numerical_columns=[name for name in numeric if name in now],
        categorical_columns=[name for name in categorical if name in now],
    )
    samples = [Dataset.from_pandas(pd.DataFrame(columns), data_definition=definition) for columns in (now, before)]
    return list(Report([DataDriftPreset()]).run(*samples).to_snapshot_model().widgets)


def _classification(labelled: pd.DataFrame) -> list[Any]:
    from evidently import BinaryClassification, DataDefinition, Dataset, Report
    from evidently.presets import ClassificationPreset

    rows = pd.DataFrame({"label": labelled["label"].astype(int), "score": labelled["score"].astype(float)})
    told = BinaryClassification(target="label", prediction_labels=None, prediction_probas="score", pos_label=1)
    sample = Dataset.from_pandas(rows, data_definition=DataDefinition(classification=[told]))
    preset = ClassificationPreset(probas_threshold=_THRESHOLD)
    return list(Report([preset]).run(sample, None).to_snapshot_model().widgets)
