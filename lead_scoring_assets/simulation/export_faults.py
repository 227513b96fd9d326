"""Faults of exports, for tests: rows twice, rows nobody can read, clocks that are wrong. Off unless asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.simulation.export_tables import as_text
from lead_scoring_assets.simulation.random_streams import Purpose, stream
from lead_scoring_assets.simulation.world import day_number

Entity = Literal["leads", "activities", "outcomes"]
ENTITIES: Final[tuple[Entity, ...]] = ("leads", "activities", "outcomes")

EVENT_TIME: Final[Mapping[Entity, str]] = {
    "leads": "created_at",
    "activities": "occurred_at",
    "outcomes": "outcome_at",
}
BAD_VALUES: Final[Mapping[Entity, tuple[tuple[str, str | None], ...]]] = {
    "leads": (
        ("lead_id", None),
        ("created_at", "31/02/2022 25:61"),
        ("lead_source", "pigeon"),
        ("company_size", "many"),
    ),
    "activities": (("activity_id", None), ("occurred_at", "yesterday"), ("activity_type", "telepathy")),
    "outcomes": (("lead_id", None), ("outcome_at", "soon"), ("outcome", "maybe"), ("deal_value", "-1")),
}
"""What a bad row holds: one of these values instead of its own."""


@dataclass(frozen=True, kw_only=True)
class ExportFaults:
    """Which share of an export's rows is faulty, and how.

    `duplicate_share`: rows that stand in the export twice. `bad_share`: rows with one value from `BAD_VALUES`.
    `skewed_share`: rows whose event time is `skew_minutes` late, because a clock was wrong. `zone_change`: from this
    local day's export on, local times are written with the offset of UTC.

    Raises SettingsError for a share outside [0, 1].
    """

    seed: int = 0
    duplicate_share: float = 0.0
    bad_share: float = 0.0
    skewed_share: float = 0.0
    skew_minutes: int = 90
    zone_change: date | None = None

    def __post_init__(self) -> None:
        for name in ("duplicate_share", "bad_share", "skewed_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(
                    f"Expected {name} from 0 to 1; found {getattr(self, name)!r}; in the faults of the simulated free "
                    "zone's exports. Change that value."
                )

    def spoil(self, entity: Entity, table: pa.Table, day: int) -> pa.Table:
        """One night's export of one entity with its faults: all columns as text, duplicates at the end."""
        random = stream(self.seed, day * len(ENTITIES) + ENTITIES.index(entity), Purpose.FAULTS)
        draws = random.random((table.num_rows, 4)).T
        table = self._skewed(table, EVENT_TIME[entity], draws[0] < self.skewed_share)
        texts = pa.table({name: column.cast(pa.string()) for name, column in _columns(as_text(table)).items()})
        if self.zone_change is not None and day >= day_number(self.zone_change):
            for name in (EVENT_TIME[entity], "known_at"):
                texts = _replaced(texts, name, pc.replace_substring(texts[name], "+04:00", "+00:00"))
        is_bad = draws[1] < self.bad_share
        kinds = (draws[2] * len(BAD_VALUES[entity])).astype(np.int64)
        for kind, (name, value) in enumerate(BAD_VALUES[entity]):
            chosen = pa.array(is_bad & (kinds == kind))
            texts = _replaced(texts, name, pc.if_else(chosen, pa.scalar(value, pa.string()), texts[name]))
        again = np.flatnonzero(draws[3] < self.duplicate_share)
        return pa.concat_tables([texts, texts.take(pa.array(again))])

    def _skewed(self, table: pa.Table, name: str, chosen: NDArray[np.bool_]) -> pa.Table:
        shift = pa.array(np.where(chosen, self.skew_minutes * 60_000_000, 0)).cast(pa.duration("us"))
        return _replaced(table, name, pc.add(table[name], shift))


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _replaced(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)
