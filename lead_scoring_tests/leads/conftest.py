"""What tests of readers share: a landed file, read to its end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lead_scoring_assets.leads.blocks import BLOCK_BYTES, LINE, LandedFile, Unreadable
from lead_scoring_assets.leads.landing import Landing
from lead_scoring_assets.leads.reading import read_landed
from lead_scoring_assets.settings import Source

REQUIRED = ["id", "age", "note"]
OPTIONAL = ["known_at"]


@dataclass
class Whole:
    """A landed file with all its blocks together."""

    file: LandedFile
    cells: dict[int, list[str | None]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    raw: dict[int, str] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    blocks: int = 0

    @property
    def faults(self) -> dict[int, str]:
        return {fault.line: fault.reason for fault in self.unreadable}

    @property
    def rows_in(self) -> int:
        return len(self.cells) + len(self.unreadable)

    @property
    def rows(self) -> list[list[str | None]]:
        return list(self.cells.values())


def whole(file: LandedFile) -> Whole:
    """Read all blocks, and hold them to what `Block` promises."""
    found = Whole(file)
    for block in file.blocks():
        lines = block.rows[LINE].to_pylist()
        names = [name for name in block.rows.column_names if name != LINE]
        assert lines == sorted(set(lines))
        assert not set(lines) & set(found.cells)
        assert {str(kind) for kind in block.rows.schema.types} <= {"int64", "string"}
        block.rows.validate(full=True)
        found.columns = names if lines else found.columns
        table = block.rows.drop_columns([LINE]).to_pydict()
        found.cells |= {line: [table[name][place] for name in names] for place, line in enumerate(lines)}
        found.raw |= {line: block.raw(line) for line in lines}
        found.unreadable += block.unreadable
        found.blocks += 1
    assert list(found.cells) == sorted(found.cells)
    return found


Read = Callable[..., Whole]


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Lands a file of leads of 2008-05 and reads it."""
    root = tmp_path_factory.mktemp("landing")
    folder = root / "leads" / "2008-05"
    folder.mkdir(parents=True)

    def read_content(
        content: str | bytes,
        name: str = "a.csv",
        source: Source | None = None,
        block_bytes: int = BLOCK_BYTES,
        required: list[str] = REQUIRED,
        optional: list[str] = OPTIONAL,
    ) -> Whole:
        for before in folder.iterdir():
            before.unlink()
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        landing = Landing.open(None, root, Path("/"))
        (file,) = landing.files("leads", "2008-05")
        return whole(read_landed(landing, file, required, optional, source or Source(), block_bytes=block_bytes))

    return read_content
