"""What a snapshot's manifest says, and its form as bytes. The folder is written and verified in `snapshot.py`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

from lead_scoring_assets.models.sealed import seal, unseal


@dataclass(frozen=True)
class Snapshot:
    """What the manifest of a snapshot says.

    `columns`: names and Arrow types in order. `splits`: rows of each split. `inputs`: the Delta version of every table
    that the rows were made from when they were first kept. `settings_sha256`: of the settings that decide which rows and
    columns there are.
    """

    period: str
    as_of: datetime
    rows: int
    columns: tuple[tuple[str, str], ...]
    splits: Mapping[str, int]
    content_hash: str
    file_sha256: str
    inputs: Mapping[str, int]
    settings_sha256: str

    @property
    def path(self) -> str:
        """The snapshot's folder, relative to the folder of all snapshots."""
        return f"{self.period}/{self.content_hash}"

    def to_bytes(self) -> bytes:
        return seal({**asdict(self), "as_of": self.as_of.isoformat()})

    @classmethod
    def from_bytes(cls, written: bytes) -> Self:
        """What `to_bytes` wrote.

        Raises:
            ValueError: `written` is something else.
        """
        told = unseal(written)
        try:
            columns = tuple((name, kind) for name, kind in told["columns"])
            return cls(**{**told, "as_of": datetime.fromisoformat(told["as_of"]), "columns": columns})
        except (KeyError, TypeError) as problem:
            raise ValueError(f"no manifest of a snapshot: {problem!r}") from None
