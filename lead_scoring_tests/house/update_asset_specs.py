"""Describes the whole graph as JSON, so that a change of it can be read; writes it into the snapshot beside this file.

`python -m lead_scoring_tests.house.update_asset_specs` updates the snapshot; with `--print` it only shows the graph.
"""

import json
import sys
from pathlib import Path
from typing import Any

import dagster as dg

SNAPSHOT = Path(__file__).with_name("asset_specs.json")


def describe(definitions: dg.Definitions) -> dict[str, dict[str, Any]]:
    """Every asset, check, job, sensor and schedule by name, as plain values."""
    graph, repository = definitions.resolve_asset_graph(), definitions.get_repository_def()
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    checks = {f"{key.asset_key.to_user_string()}:{key.name}": graph.get(key) for key in graph.asset_check_keys}
    specs: dict[str, dict[str, Any]] = {
        "assets": {
            name: {
                "group": node.group_name,
                "owners": sorted(node.owners),
                "kinds": sorted(node.kinds),
                "has_description": bool(node.description and node.description.strip()),
                "deps": {
                    parent.to_user_string(): _mapping(node.partition_mappings.get(parent))
                    for parent in sorted(node.parent_keys)
                },
                "partitions": _partitions(node.partitions_def),
                "backfill": node.backfill_policy.policy_type.value if node.backfill_policy else None,
            }
            for name, node in nodes.items()
        },
        "checks": {
            name: {
                "blocking": node.blocking,
                "has_description": bool(node.description and node.description.strip()),
                "partitions": _partitions(node.partitions_def),
            }
            for name, node in checks.items()
        },
        "jobs": {
            job.name: {
                "has_description": bool(job.description),
                "assets": sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys),
            }
            for job in repository.get_all_jobs()
            if not job.name.startswith("__")
        },
        "sensors": {
            sensor.name: {
                "type": sensor.sensor_type.value,
                "jobs": sorted(target.job_name for target in sensor.targets),
                "default_status": sensor.default_status.value,
                "has_description": bool(sensor.description),
            }
            for sensor in repository.sensor_defs
        },
        "schedules": {
            schedule.name: {
                "job": schedule.job_name,
                "cron": schedule.cron_schedule,
                "timezone": schedule.execution_timezone,
                "default_status": schedule.default_status.value,
                "has_description": bool(schedule.description),
            }
            for schedule in repository.schedule_defs
        },
    }
    return {section: dict(sorted(entries.items())) for section, entries in specs.items()}


def as_text(specs: dict[str, dict[str, Any]]) -> str:
    return json.dumps(specs, indent=2, ensure_ascii=False) + "\n"


def _partitions(partitions: dg.PartitionsDefinition[Any] | None) -> str | None:
    if not isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        return None if partitions is None else type(partitions).__name__
    end = f" to {partitions.end:%Y-%m-%d}" if partitions.end else ""
    return f"{partitions.cron_schedule} from {partitions.start:%Y-%m-%d}{end} {partitions.timezone}"


def _mapping(mapping: dg.PartitionMapping | None) -> str:
    if mapping is None:
        return "same period"
    if isinstance(mapping, dg.TimeWindowPartitionMapping):
        return f"periods {mapping.start_offset} to {mapping.end_offset}"
    return type(mapping).__name__


if __name__ == "__main__":
    from lead_scoring_assets.definitions import build_definitions

    text = as_text(describe(build_definitions()))
    if "--print" in sys.argv:
        sys.stdout.write(text)
    else:
        SNAPSHOT.write_text(text, encoding="utf-8")
