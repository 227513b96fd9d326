"""One recorded history in memory: leads, features and what was known of labels when, as arrays cut by position.

Read once from `lead_features` and `ground_truth_labels` of any home, bank or simulated; what happens in it stands elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.evaluation.revenue import realised_values
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN, TrainingWindow
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Settings

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]
Instants = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class Recorded:
    """Rows of `lead_features` in order of lead and of `known_at`, and what became known about their labels.

    frame: the features, categories as such. periods: in order of time, from the first lead's to the newest label's; labels
    are known up to the end of the last. Arrays of shape (rows,): `period_of` is a place in `periods`, `lead` numbers the
    leads, `is_first` marks the row by which a lead is trained on and judged. Of the labels, in order of `known_at`:
    `label_lead`, `label_known_at`, `label` (NaN: taken back), `label_is_new`, `label_value` (of the deal, NaN: not told).
    """

    settings: Settings
    periods: tuple[Period, ...]
    frame: pd.DataFrame
    matrix: npt.NDArray[np.float32]
    period_of: Positions
    lead: Positions
    is_first: npt.NDArray[np.bool_]
    created_at: Instants
    known_at: Instants
    label_lead: Positions
    label_known_at: Instants
    label: Floats
    label_is_new: npt.NDArray[np.bool_]
    label_value: Floats

    def labels_at(self, moment: datetime) -> Floats:
        """Label of each row's lead as it was known at `moment`, NaN where it was not; shape (rows,)."""
        return self._as_known(self.label, moment)[self.lead]

    def new_labels(self, after: datetime | None, until: datetime) -> int:
        """How many leads' first labels became known in (after, until]."""
        known = self.label_known_at[self.label_is_new]
        begin = 0 if after is None else np.searchsorted(known, instant(after), side="right")
        return int(np.searchsorted(known, instant(until), side="right") - begin)

    def arrivals(self, place: int) -> Positions:
        """Rows with which leads were first known in `periods[place]`, of those whose label is known by now."""
        return np.flatnonzero((self.period_of == place) & self.is_first & np.isfinite(self.final_labels))

    def rows_of(self, place: int) -> Positions:
        """All rows of `periods[place]`: what drift of that period is measured on."""
        return np.flatnonzero(self.period_of == place)

    def training_rows(self, period: Period) -> tuple[pd.DataFrame, Positions]:
        """What `build_training_set` gives as of the end of `period`, and the positions of these rows."""
        window_days = timedelta(days=self.settings.labels.conversion_window_days)
        window = TrainingWindow.of(period, window_days, self.settings.training.window_months)
        is_train = self._is_created(window.start, window.embargo)
        is_holdout = self._is_created(window.holdout, window.end)
        labels = self.labels_at(period.end)
        is_known = self.is_first & (self.known_at <= instant(period.end)) & np.isfinite(labels)
        rows = np.flatnonzero((is_train | is_holdout) & is_known)
        chosen = self.frame.iloc[rows].assign(
            split=np.where(is_holdout[rows], HOLDOUT, TRAIN),
            created_at=pd.DatetimeIndex(self.created_at[rows], tz="UTC"),
            label=labels[rows],
        )
        return chosen, rows

    @cached_property
    def final_labels(self) -> Floats:
        """Labels as they are known at the end of the last period, NaN where they are not; shape (rows,)."""
        return self.labels_at(self.periods[-1].end)

    @cached_property
    def values(self) -> Floats:
        """What each row's lead brought in the settings' currency, shape (rows,); 0 where its label is not known."""
        told = self._as_known(self.label_value, self.periods[-1].end)[self.lead]
        labels = np.nan_to_num(self.final_labels)
        return realised_values(labels, told, self.settings.evaluation.value_per_conversion)

    def unlabelled(self, place: int) -> int:
        """Leads that were first known in `periods[place]`, and of which no label is known by now."""
        return int(((self.period_of == place) & self.is_first & ~np.isfinite(self.final_labels)).sum())

    def _as_known(self, told: Floats, moment: datetime) -> Floats:
        """Of each lead the newest of what was `told` up to `moment`."""
        found = np.full(1 + int(max(self.lead.max(), self.label_lead.max())), np.nan)
        known = np.searchsorted(self.label_known_at, instant(moment), side="right")
        # Of a lead that is named twice the last stays: they come in order of time.
        found[self.label_lead[:known]] = told[:known]
        return found

    def _is_created(self, start: datetime, end: datetime) -> npt.NDArray[np.bool_]:
        return (self.created_at >= instant(start)) & (self.created_at < instant(end))


def instant(moment: datetime) -> np.datetime64:
    """UTC as numpy keeps it, without a zone."""
    return np.datetime64(moment.replace(tzinfo=None), "us")


def read_recorded(features: Any, labels: Any, settings: Settings) -> Recorded:
    """The history in the two tables (Arrow tables or scans).

    Raises:
        LeadScoringError: there is no lead, or no label.
    """
    registry = settings.registry
    names = list(registry.features)
    registry.assert_no_leakage(names, "the replay")
    columns = ", ".join(quoted(name) for name in names)
    leads = query(
        f"SELECT period, lead_id, created_at, known_at, {columns} FROM features "  # noqa: S608  # names are quoted
        "ORDER BY lead_id, known_at, period",
        {"features": features},
    )
    told = query(
        """
        SELECT n.lead, l.label_known_at, l.label::DOUBLE AS label, l.revision = 1 AS is_new,
               l.deal_value::DOUBLE AS deal_value, l.period
        FROM labels l JOIN (SELECT lead_id, row_number() OVER (ORDER BY lead_id) - 1 AS lead
                            FROM (SELECT DISTINCT lead_id FROM leads)) n USING (lead_id)
        ORDER BY l.label_known_at, l.revision
        """,
        {"labels": labels, "leads": leads.select(["lead_id"])},
    )
    if not leads.num_rows or not told.num_rows:
        raise LeadScoringError(
            f"no history to replay: expected rows in lead_features and ground_truth_labels, found {leads.num_rows:,} "
            f"leads and {told.num_rows:,} labels of them. Run `lead-scoring materialize` first."
        )
    return _put_together(leads, told, settings)


def _put_together(leads: pa.Table, told: pa.Table, settings: Settings) -> Recorded:
    registry, keys = settings.registry, leads["period"].combine_chunks().dictionary_encode()
    first = settings.calendar.period(min(keys.dictionary.to_pylist()))
    newest = settings.calendar.period(max(told["period"].unique().to_pylist()))
    periods = tuple(settings.calendar.through(newest, first))
    place = {period.key: position for position, period in enumerate(periods)}
    # A period that no label has reached has no place: its leads cannot be judged, and are left out.
    places = np.array([place.get(key, -1) for key in keys.dictionary.to_pylist()], dtype=np.intp)
    is_inside = places[keys.indices.to_numpy()] >= 0
    is_first = _is_first(leads["lead_id"])
    lead = np.cumsum(is_first) - 1
    features = leads.select(list(registry.features))
    frame: pd.DataFrame = features.to_pandas(categories=list(registry.category_features))
    frame = frame[is_inside].reset_index(drop=True)
    return Recorded(
        settings=settings,
        periods=periods,
        frame=frame,
        matrix=Encoder.from_registry(registry).encode(frame),
        period_of=places[keys.indices.to_numpy()][is_inside],
        lead=lead[is_inside],
        is_first=is_first[is_inside],
        created_at=_instants(leads["created_at"])[is_inside],
        known_at=_instants(leads["known_at"])[is_inside],
        label_lead=told["lead"].to_numpy().astype(np.intp),
        label_known_at=_instants(told["label_known_at"]),
        label=_numbers(told["label"]),
        label_is_new=told["is_new"].to_numpy().astype(bool),
        label_value=_numbers(told["deal_value"]),
    )


def _is_first(lead_ids: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Whether a row, in order of lead, is the first of its lead."""
    ids = lead_ids.to_numpy()
    return np.concatenate([[True], ids[1:] != ids[:-1]])


def _instants(column: pa.ChunkedArray) -> Instants:
    instants: Instants = column.cast(pa.timestamp("us")).to_numpy()
    return instants


def _numbers(column: pa.ChunkedArray) -> Floats:
    numbers: Floats = column.cast(pa.float64()).to_numpy()
    return numbers
