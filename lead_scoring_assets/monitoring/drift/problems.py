"""What is said of columns that could not be counted, in every window alike."""

from collections.abc import Iterable, Mapping

from lead_scoring_assets.monitoring.drift.reference_state import ReferenceColumn, ReferenceState


def absent(reference: ReferenceState, names: Iterable[str]) -> dict[str, str]:
    """The columns of `reference` that are not among `names`, and what is said of them."""
    there = set(names)
    gone = [column.name for column in reference.columns if column.name not in there]
    return {name: f"{name} is missing from the current data." for name in gone}


def unreadable(column: ReferenceColumn, problem: str) -> str:
    """What is said of a column that is there; only the first line of the problem is for people."""
    return f"{column.name} cannot be read as {column.kind}: {problem.splitlines()[0]}"


def uncounted(problems: Mapping[str, str]) -> str:
    """Why it cannot be told what is missing together."""
    return f"These columns could not be counted: {', '.join(problems)}."
