"""Whether a commit holds exactly the code that trained a version, told from the record beside the model. Only reads."""

from pathlib import Path

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.models.provenance import UNKNOWN, Provenance
from lead_scoring_assets.models.record import RECORD, read_record


def why_untraceable(bundle: Path, fingerprint: str) -> str | None:
    """Why nobody could check out the code that trained the model in `bundle`, in words; None where a commit holds it."""
    try:
        told = read_record(bundle.with_name(RECORD))
    except LakehouseError as problem:
        return f"it is not known which code trained it ({problem})"
    if told.fingerprint != fingerprint:
        return f"it is not known which code trained it ({bundle.with_name(RECORD)} is the record of another model)"
    return _why(told.provenance)


def _why(code: Provenance) -> str | None:
    if code.is_traceable:
        return None
    if code.git_commit == UNKNOWN:
        return "it was trained by code of no known commit"
    if code.git_dirty is None:
        return f"it is not known whether commit {code.git_commit[:12]} is all of the code that trained it"
    files = code.git_changed_files
    counted = "files" if files is None else f"{files:,} file{'' if files == 1 else 's'}"
    return f"it was trained by commit {code.git_commit[:12]} with changes in {counted} that no commit holds"
