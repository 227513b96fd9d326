"""dagster-mlflow's resource, opened only by runs that train, and never at import of the definitions."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry


@dg.resource(
    required_resource_keys={"installation"},
    description="The MLflow run of this Dagster run (dagster-mlflow). The step that trains ends it with its true status.",
)
def mlflow_tracking(context: dg.InitResourceContext) -> Iterator[Any]:
    """One MLflow run for this Dagster run, in the installation's store, tagged with the Dagster run id."""
    installation: Installation = context.resources.installation
    registry = ModelRegistry(installation.home)
    registry.prepare()
    # After the registry, which tells MLflow how quiet to be: it reads that when it is imported.
    from dagster_mlflow import mlflow_tracking as original

    yield from original.resource_fn(
        context.replace_config({"experiment_name": registry.name, "mlflow_tracking_uri": registry.tracking_uri})
    )
