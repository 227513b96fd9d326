"""What the decision about retraining looks at: facts as of now, without a table behind them. Nothing is decided here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lead_scoring_assets.models.minimum_data import TrainingData as TrainingData

Row = Mapping[str, Any]
CandidateVerdict = Literal["promoted", "awaiting_approval", "rejected", "superseded", "taken_back"]


@dataclass(frozen=True)
class Champion:
    """The live version, and its AUC on the holdout that it was admitted with (None: not on record)."""

    version: int
    promised_auc: float | None = None


@dataclass(frozen=True)
class DriftWindow:
    """One period measured against one version. `judged`: how many features (or scores) could be; `drifted`: PSI by name,
    strongest first (None: no PSI). `remark`: the largest PSI where nothing drifted, or why nothing could be judged."""

    period: str
    model_version: int
    judged: int
    drifted: Mapping[str, float | None]
    n: int | None
    remark: str

    @property
    def strongest_psi(self) -> float | None:
        return max((psi for psi in self.drifted.values() if psi is not None), default=None)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "DriftWindow":
        """From the rows of one period and version of a table such as `feature_drift`; their status has weighed n and effect."""
        judged = [row for row in rows if row["status"] not in ("insufficient_data", "not_computable")]
        drifted = sorted((row for row in judged if row["status"] == "drift"), key=lambda row: -(_psi(row) or 0.0))
        remark = str(rows[0]["reason"])
        if known := [row for row in judged if _psi(row) is not None]:
            top = max(known, key=lambda row: _psi(row) or 0.0)
            remark = f"the largest PSI is {_psi(top):.2f} ({_name(top)}{_of_n(top)})"
        counts = [int(row["n_current"]) for row in drifted or rows if row.get("n_current") is not None]
        return cls(
            period=str(rows[0]["period"]),
            model_version=int(rows[0]["model_version"]),
            judged=len(judged),
            drifted={_name(row): _psi(row) for row in drifted},
            n=counts[0] if counts else None,
            remark=remark,
        )


def drift_windows(rows: Iterable[Row]) -> list[DriftWindow]:
    """The windows in `rows`, oldest first: one for each period and version. A row without a version was measured against none."""
    found: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        if row["model_version"] is not None:
            found.setdefault((row["period"], row["model_version"]), []).append(row)
    return [DriftWindow.of(found[key]) for key in sorted(found)]


@dataclass(frozen=True)
class MaturedAuc:
    """The champion's AUC on the leads that matured in the period. Figures count only where the status is `ok`."""

    status: str
    reason: str
    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    n: int = 0


@dataclass(frozen=True)
class Judgement:
    """What became of a candidate. `taken_back`: it went live and was rolled back or fallen back from."""

    period: str
    judged_at: datetime
    verdict: CandidateVerdict


@dataclass(frozen=True)
class Request:
    """A training that a person asked for."""

    request_id: str
    by: str
    reason: str


@dataclass(frozen=True)
class Facts:
    """Everything that decides, as of `now`, about a training of `period`, the newest that has closed.

    Sequences are in order of time, oldest first. `first_live_at`: when the first champion went live. `new_labels`: those
    that became known since the last judgement. `training_data`: None where it was not counted (it holds nothing back
    then). `in_flight`, `answered`: what is under way, and what this period's training came to; in words, None: nothing.
    """

    now: datetime
    period: str
    champion: Champion | None = None
    first_live_at: datetime | None = None
    drift: Sequence[DriftWindow] = ()
    concept_drift: Sequence[DriftWindow] = ()
    prediction_drift: Sequence[DriftWindow] = ()
    performance: MaturedAuc | None = None
    new_labels: int = 0
    judgements: Sequence[Judgement] = ()
    training_data: TrainingData | None = None
    request: Request | None = None
    is_ingested: bool = True
    in_flight: str | None = None
    answered: str | None = None

    @property
    def last_judgement(self) -> Judgement | None:
        return self.judgements[-1] if self.judgements else None


def _psi(row: Row) -> float | None:
    """The PSI without what chance alone gives, where the table has one."""
    value = row.get("psi_debiased", row.get("psi"))
    return None if value is None else float(value)


def _name(row: Row) -> str:
    return str(row.get("feature") or row.get("metric") or "scores")


def _of_n(row: Row) -> str:
    return "" if row.get("n_current") is None else f", n = {row['n_current']:,}"
