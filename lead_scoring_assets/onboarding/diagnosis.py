"""What the doctor says: one finding about the data, in plain words. How it is found is not known here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["ok", "warning", "problem"]
INSUFFICIENT = "insufficient data"


@dataclass(frozen=True)
class Diagnosis:
    """`name`: what was looked for. `subject`: the table, or table.column. `remedy`: what to do; empty when all is well.

    A question that the data cannot answer yet is ok, and its sentence begins with INSUFFICIENT.
    """

    severity: Severity
    name: str
    subject: str
    sentence: str
    remedy: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


def or_well(
    found: Sequence[Diagnosis], name: str, subject: str, sentence: str, numbers: Mapping[str, float] | None = None
) -> list[Diagnosis]:
    """What was found; when nothing was, one sentence that says what was looked at."""
    return list(found) or [Diagnosis("ok", name, subject, sentence, "", numbers or {})]


def insufficient(name: str, subject: str, why: str, numbers: Mapping[str, float] | None = None) -> Diagnosis:
    """The honest answer where the data do not say."""
    return Diagnosis("ok", name, subject, f"{INSUFFICIENT}: {why}", "", numbers or {})
