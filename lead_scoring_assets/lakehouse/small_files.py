"""Merging the small files that appending leaves behind: every commit writes one, and each costs a millisecond to read."""

import logging
from pathlib import Path

import deltalake
from deltalake.exceptions import DeltaError

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.files import one_at_a_time

COMMITS = 64
"""After so many commits it is time."""
_TARGET_BYTES = 256 * 1024
"""Larger files stay as they are. Each merge writes the smaller ones anew, and the old ones are kept for old versions: with a
much larger target most of the disk would hold copies."""
_LOG = logging.getLogger(__name__)


def is_time_to_merge(version: int) -> bool:
    """Whether the writer of this version merges: each version has one writer, so that one of many processes does."""
    return version > 0 and version % COMMITS == 0


def merge_small_files(folder: Path) -> None:
    """Write the small files of the table in `folder` as few larger ones, in one commit that changes no row.

    The files stay for the versions that hold them. Rows that others append meanwhile are kept; who is killed leaves the
    table as it was. A merge that fails is told and no more: the rows are all there, and the next one makes up for it.

    Only for tables to which rows are added and never replaced. And only one at a time, opened anew: delta-rs (1.6) lets two
    merges of the same files both commit, after which the table holds their rows twice.
    """
    try:
        with one_at_a_time(folder / ".merging"):
            deltalake.DeltaTable(folder).optimize.compact(target_size=_TARGET_BYTES)
    except (DeltaError, LeadScoringError, OSError, ValueError) as problem:
        _LOG.warning(
            "the small files of table %s could not be merged (%s): no row is missing, but reading it takes longer until "
            "that succeeds, after %d more commits. Look at the free disk space.",
            folder.name,
            problem,
            COMMITS,
        )
