"""Drift of an installation's periods: which champion was live, its reference, the rows counted, the window judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import duckdb
import pyarrow.compute as pc

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.tables import PERIOD
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.monitoring.drift import kept_reference
from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.kept_counts import PeriodCounts, kept_counts, summed
from lead_scoring_assets.monitoring.drift.kept_reference import KeptReference
from lead_scoring_assets.monitoring.drift.reference_state import ColumnKind
from lead_scoring_assets.monitoring.drift.row_by_row import compare_rows, reference_of_rows
from lead_scoring_assets.monitoring.drift.scan import count_rows, named
from lead_scoring_assets.monitoring.drift.verdict import Limits
from lead_scoring_assets.monitoring.drift.window import WindowDrift, judge_window, not_judged, nothing
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.settings import Settings

BINS = 10
_ROWS = "lead_features"


@dataclass(frozen=True)
class MeasuredPeriod:
    """What is said of one period. `reference` and `counted` are None where the champion's reference no longer exists."""

    period: Period
    champion: Deployment
    window: WindowDrift
    reference: KeptReference | None = None
    counted: PeriodCounts | None = None


def measure_periods(installation: Installation, periods: Sequence[Period]) -> list[MeasuredPeriod]:
    """Drift of `periods`, each against the champion that was live when it began; those before the first are left out."""
    deployments = Deployments(installation.lakehouse)
    live = [(champion, period) for period in periods if (champion := deployments.champion_at(period.start))]
    measured: list[MeasuredPeriod] = []
    for champion, found in groupby(live, key=lambda pair: pair[0]):
        measured += _against(installation, champion, [period for _, period in found])
    return measured


def reference_of(installation: Installation, champion: Deployment) -> KeptReference:
    """The champion's reference: as it was kept, else made again of the rows the model learned from, and kept.

    Raises
    ------
    LakehouseError : neither is there.
    """
    settings, lakehouse = installation.settings, installation.lakehouse
    features, segments = settings.registry.features, settings.drift.segments
    definition = kept_reference.definition_of(BINS, list(features), segments)
    if kept := kept_reference.find(lakehouse, champion.fingerprint, definition):
        return kept
    rows = lakehouse.read("training_set", periods=[champion.period])
    rows = rows.filter(pc.equal(rows["split"], TRAIN))
    if not rows.num_rows:
        raise LakehouseError(
            f"training_set holds no row of {champion.period} that a model learned from. Materialise training_set of that "
            "period."
        )
    registry = settings.registry
    state = reference_of_rows(rows, registry.numeric_features, registry.category_features, segments=segments, bins=BINS)
    return kept_reference.keep(
        lakehouse,
        state,
        definition=definition,
        version=champion.version,
        fingerprint=champion.fingerprint,
        period=champion.period,
    )


def _against(installation: Installation, champion: Deployment, periods: Sequence[Period]) -> list[MeasuredPeriod]:
    settings, lakehouse = installation.settings, installation.lakehouse
    try:
        reference = reference_of(installation, champion)
    except LakehouseError as problem:
        reason = f"The reference of champion v{champion.version} no longer exists: {problem}"
        return [MeasuredPeriod(period, champion, _not_judged(installation, period, reason)) for period in periods]
    windows = {period.key: _window(settings, period) for period in periods}
    earlier = {key for keys in windows.values() for key in keys} - windows.keys()
    counted = kept_counts(lakehouse, reference.id, sorted(earlier))
    counted |= _count(installation, reference, sorted((earlier | windows.keys()) - counted.keys()))
    sums = {period.key: summed([counted[key] for key in windows[period.key]]) for period in periods}
    few = {key for key, found in sums.items() if found.whole.n_rows <= settings.drift.exact_rows}
    values = kept_reference.with_values(lakehouse, reference) if few else None
    measured = []
    for period in periods:
        found = sums[period.key]
        limits, exact = Limits.of(settings.drift), None
        if values and period.key in few:
            exact = compare_rows(values, lakehouse.scan(_ROWS, periods=windows[period.key]))
        window = judge_window(reference.state, found.whole, limits, exact=exact, groups=found.groups)
        measured.append(MeasuredPeriod(period, champion, window, reference, counted[period.key]))
    return measured


def _window(settings: Settings, period: Period) -> list[str]:
    """The keys of the last `drift.window_periods` periods up to `period`, as far as the calendar reaches."""
    found = [period]
    while len(found) < settings.drift.window_periods and found[-1].start > settings.calendar.start:
        found.append(settings.calendar.previous(found[-1]))
    return [each.key for each in reversed(found)]


def _count(installation: Installation, reference: KeptReference, keys: Sequence[str]) -> dict[str, PeriodCounts]:
    """One pass over the rows of `keys`, and one more for each segment."""
    rows, state = installation.lakehouse.scan(_ROWS, periods=keys), reference.state
    whole = {key: counts for (key,), counts in count_rows(state, rows, by=[PERIOD]).items()}
    groups: dict[str | None, dict[str, dict[str, Counts]]] = {}
    for segment, known in state.segments.items():
        try:
            found = count_rows(state, rows, by=[PERIOD, segment])
        except duckdb.Error as problem:
            problems = dict.fromkeys(nothing(state).bins, f"{segment} cannot be read: {str(problem).splitlines()[0]}")
            found = {(key, group): Counts(0, problems=problems) for key in keys for group in known}
        for (key, group), counts in found.items():
            groups.setdefault(key, {}).setdefault(segment, {})[named(group)] = counts
    return {key: PeriodCounts(whole.get(key) or nothing(state), groups.get(key, {})) for key in keys}


def _not_judged(installation: Installation, period: Period, reason: str) -> WindowDrift:
    registry = installation.settings.registry
    kinds: dict[str, ColumnKind] = dict.fromkeys(registry.numeric_features, "numeric")
    kinds |= dict.fromkeys(registry.category_features, "categorical")
    return not_judged(kinds, installation.lakehouse.scan(_ROWS, periods=[period.key]).count_rows(), reason)
