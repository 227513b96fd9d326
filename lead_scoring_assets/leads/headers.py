"""The columns that a reader looks for: under which names a file may have them, and what is wrong when it has not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lead_scoring_assets.leads.blocks import listed, printable


@dataclass(frozen=True)
class Wanted:
    """`rename`: their column → ours. A column of theirs that already has our name works as well."""

    entity: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    rename: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)

    def ours(self, names: Sequence[str]) -> list[str]:
        """A file's column names under our names, without outer blanks."""
        return [self.rename.get(name.strip(), name.strip()) for name in names]

    def found(self, ours: Sequence[str]) -> list[str]:
        """The columns to read, in the order of the contract."""
        return [column for column in self.columns if column in ours]

    def missing(self, ours: Sequence[str]) -> list[str]:
        return [column for column in self.required if column not in ours]

    def repeated_problem(self, theirs: Sequence[str]) -> str | None:
        """Which columns the file has twice, under one name or two."""
        ours = self.ours(theirs)
        if not (repeated := sorted(column for column, count in Counter(ours).items() if count > 1)):
            return None
        for column in repeated:
            names = sorted({name.strip() for name, our in zip(theirs, ours, strict=True) if our == column})
            if len(names) > 1:
                return (
                    f"columns {listed(names)} are both {column}, because `rename` of {self.entity} says so; "
                    "remove one of them from the file, or the line from sources in lead_scoring.yaml"
                )
        return f"columns {listed(repeated)} occur more than once; rename or remove them"

    def missing_problem(self, theirs: Sequence[str]) -> str | None:
        """Which required columns the file lacks."""
        if not (missing := self.missing(self.ours(theirs))):
            return None
        names = {our: their for their, our in self.rename.items()}
        hint = [f"{column} is expected as {names[column]!r}" for column in missing if column in names]
        return (
            f"columns {missing} are missing: expected {list(self.required)}, "
            f"found {printable(str(list(theirs)))[:500]}" + (f"; by `rename` {', '.join(hint)}" if hint else "")
        )

    def extra_note(self, theirs: Sequence[str]) -> str | None:
        """Which columns nobody reads."""
        extra = [name.strip() for name, our in zip(theirs, self.ours(theirs), strict=True) if our not in self.columns]
        return f"columns {listed(extra)} are not in the contract and were not read" if extra else None
