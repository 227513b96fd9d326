"""Driving the real jobs and sensors through recorded periods, in this process. What happened is read in `agreement.py`."""

from collections.abc import Callable, Sequence

import dagster as dg

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period

_ARRIVAL, _RETRAINING = "leads_landed", "retrain_on_cause"
_MOST_TRAININGS_A_PERIOD = 3
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_TABLES = ("ground_truth_labels", "lead_features")


def play_through_dagster(
    definitions: dg.Definitions,
    installation: Installation,
    periods: Sequence[Period],
    tell: Callable[[str], None],
) -> None:
    """For each period: the clock reaches its end, the landing sensor asks for its runs, then retraining until it has enough.

    Args:
        definitions: the product's, whose resources open the same home, with a logger that tells nothing.
        installation: a home of its own for this, with a replay clock, whose files have landed.
        periods: in order of time.
        tell: is called with a few words for each period.

    Raises:
        LeadScoringError: a run failed, or the sensors never come to rest.
    """
    if not isinstance(installation.clock, ReplayClock):
        raise LeadScoringError("history can only be driven with `clock: replay`, found `clock: system`.")
    with dg.DagsterInstance.get() as instance:
        drive = _Drive(definitions, instance)
        for period in periods:
            tell(f"driving Dagster through {period}")
            installation.clock.move_to(period.end)
            drive.tick_until_rest(_ARRIVAL, 1)
            drive.tick_until_rest(_RETRAINING, _MOST_TRAININGS_A_PERIOD)


def materialise_tables(definitions: dg.Definitions, periods: Sequence[Period]) -> None:
    """Ingest `periods` and make their features and labels, which is all that a replay reads; in one run.

    Raises:
        LeadScoringError: the run failed.
    """
    selection = dg.AssetSelection.assets(*_TABLES).upstream().required_multi_asset_neighbors()
    whole = dg.Definitions.merge(definitions, dg.Definitions(jobs=[dg.define_asset_job("tables", selection)]))
    tags = {_RANGE_START: periods[0].key, _RANGE_END: periods[-1].key}
    with dg.DagsterInstance.get() as instance:
        _execute(whole, "tables", instance, tags, None)


class _Drive:
    """A daemon's part, one tick after the other: cursors are kept, and a run key is launched once."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self._definitions, self._instance = definitions, instance
        self._repository = definitions.get_repository_def()
        self._cursors: dict[str, str | None] = {}
        self._launched: set[str] = set()

    def tick_until_rest(self, sensor_name: str, most: int) -> None:
        """Tick, and run what is asked for, until nothing is; at most so many runs of a kind are expected."""
        sensor = self._repository.get_sensor_def(sensor_name)
        for _ in range(most + 1):
            requests = [request for request in self._tick(sensor) if request.run_key not in self._launched]
            if not requests:
                return
            for request in requests:
                self._launched.add(str(request.run_key))
                job = str(request.job_name or sensor.job_name)
                _execute(self._definitions, job, self._instance, dict(request.tags), request.partition_key)
        raise LeadScoringError(f"sensor {sensor_name} asked for more than {most} rounds of runs at one moment.")

    def _tick(self, sensor: dg.SensorDefinition) -> Sequence[dg.RunRequest]:
        of_home = self._definitions.resources or {}
        with dg.build_sensor_context(
            instance=self._instance,
            cursor=self._cursors.get(sensor.name),
            repository_def=self._repository,
            resources={key: of_home[key] for key in sensor.required_resource_keys},
        ) as context:
            told = sensor.evaluate_tick(context)
        self._cursors[sensor.name] = told.cursor
        return told.run_requests or []


def _execute(
    definitions: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    partition_key: str | None,
) -> None:
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance,
        raise_on_error=False,
        tags=tags,
        partition_key=partition_key,
        # Without a word here Dagster logs every event to the terminal.
        run_config={"loggers": {name: {} for name in definitions.loggers or {}}},
    )
    if not result.success:
        failures = [event.step_failure_data for event in result.get_step_failure_events()]
        # What our code said stands inside Dagster's wrapping.
        errors = [data.error.cause or data.error for data in failures if data and data.error]
        told = errors[0].message.strip() if errors else "it could not begin"
        raise LeadScoringError(f"run of {job} ({partition_key or 'all periods'}) failed: {told}")
