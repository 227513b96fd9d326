"""Dagster shell of the features."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.features.inputs import PeriodsRead, periods_read
from lead_scoring_assets.features.passes import build_periods
from lead_scoring_assets.features.plan import compile_features, feature_schema
from lead_scoring_assets.features.spark import PACKAGE, Done, Input, Slice, SparkTask, clear, collect, interpreter
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.partitions import LOOKBACK, ONE_RUN, PERIODS, periods_of

_JOB = "lead_scoring_assets.features.spark_job"


@dg.asset(
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    # LOOKBACK is None where no feature counts activities: the graph shows what is read, and no more.
    deps=["raw_leads", *([dg.AssetDep("raw_activities", partition_mapping=LOOKBACK)] if LOOKBACK else [])],
    resource_defs={"pipes_subprocess_client": dg.PipesSubprocessClient()},
    group_name="features",
    owners=["team:data-engineering"],
    kinds={"duckdb", "deltalake"},
)
def lead_features(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    pipes_subprocess_client: dg.PipesSubprocessClient,
) -> dg.MaterializeResult[pa.Table]:
    """What a model may see of each lead, known at the moment the lead was known. Columns come from the registry."""
    settings, lakehouse = installation.settings, installation.lakehouse
    reads = {period.key: periods_read(settings.registry, settings.calendar, period) for period in periods_of(context)}
    # One version of each table for the whole run, whatever arrives meanwhile.
    versions = {table: lakehouse.version(table) for found in reads.values() for table in found}
    engine = settings.compute.engine
    for period in reads:
        context.add_asset_metadata(
            {
                "engine": engine,
                "plan": dg.MetadataValue.md(f"```sql\n{compile_features(settings.registry, engine)}\n```"),
                **{f"{table}_version": version for table, version in versions.items()},
            },
            partition_key=period,
        )
    # A result, not a bare table: Pipes asks for it.
    if engine == "duckdb":
        return dg.MaterializeResult(
            value=pa.concat_tables(build_periods(lakehouse, settings.registry, reads, versions))
        )
    folder = installation.home.data / "spark" / context.run_id
    try:
        task = _task(installation, reads, versions, folder)
        python = interpreter(settings.compute.spark_python)
        computed = _by_spark(context, pipes_subprocess_client, python, task, feature_schema(settings.registry))
        return dg.MaterializeResult(value=pa.concat_tables(computed))
    finally:
        clear(folder)


def _task(
    installation: Installation, reads: Mapping[str, PeriodsRead], versions: Mapping[str, int], folder: Path
) -> SparkTask:
    return SparkTask(
        remote=installation.settings.compute.spark_remote,
        sql=compile_features(installation.settings.registry, "spark"),
        inputs={name: Input(path=str(installation.lakehouse.path(name)), version=v) for name, v in versions.items()},
        slices=tuple(Slice(period=key, reads=found, folder=str(folder / key)) for key, found in reads.items()),
    )


def _by_spark(
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    python: Path,
    task: SparkTask,
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    ended = pipes.run(
        command=[str(python), "-m", _JOB],
        context=context,
        extras=task.model_dump(mode="json"),
        env={"PYTHONPATH": str(PACKAGE.parent)},
    )
    finished = []
    for told in ended.get_custom_messages():
        if "problem" in told:
            raise LeadScoringError(told["problem"])
        finished.append(Done.model_validate(told))
    for one, done in zip(task.slices, finished, strict=True):
        context.add_asset_metadata({"spark_version": done.spark_version}, partition_key=one.period)
        yield collect(one, schema, done.rows)
