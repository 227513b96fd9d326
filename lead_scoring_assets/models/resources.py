"""dagster-mlflow's resource, opened only by runs that train, and never at import of the definitions."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import dagster as dg

from lead_scoring_assets.errors import RegistryError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.mlflow_store import reaching
from lead_scoring_assets.models.registry import ModelRegistry

_FAILED_RUNS_LOOKED_AT = 100


@dg.resource(
    required_resource_keys={"installation"},
    description="The MLflow run of this Dagster run (dagster-mlflow). The step that trains ends it with its true status.",
)
def mlflow_tracking(context: dg.InitResourceContext) -> Iterator[Any]:
    """One MLflow run for this Dagster run, in the installation's store, tagged with the Dagster run id."""
    installation: Installation = context.resources.installation
    registry = ModelRegistry(installation.home)
    registry.prepare()
    if context.instance is not None:
        close_failed_runs(registry, context.instance)
    # After the registry, which tells MLflow how quiet to be: it reads that when it is imported.
    from dagster_mlflow import mlflow_tracking as original

    try:
        with reaching(registry.tracking_uri):
            yield from original.resource_fn(
                context.replace_config({"experiment_name": registry.name, "mlflow_tracking_uri": registry.tracking_uri})
            )
    finally:
        _end_what_failed(registry.tracking_uri)


def close_failed_runs(registry: ModelRegistry, instance: dg.DagsterInstance) -> None:
    """End as failed what newly failed Dagster runs have left open in MLflow: their process, or MLflow, was gone.

    Raises:
        RegistryError: MLflow is gone now; whoever comes next tries again.
    """
    failed = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    newest = instance.get_runs(dg.RunsFilter(statuses=failed), limit=_FAILED_RUNS_LOOKED_AT)
    registry.close_failed_runs({run.run_id for run in newest})


def _end_what_failed(tracking_uri: str) -> None:
    """What the step that trains has not ended is over and failed, also where a step before it failed.

    dagster-mlflow would leave it open: the next run of this process would go on in it, or the end of the process would
    mark it as finished.
    """
    import mlflow

    while mlflow.active_run() is not None:
        # One whose store is gone is no longer active either, which is what the next run needs.
        with suppress(RegistryError), reaching(tracking_uri):
            mlflow.end_run(status="FAILED")
