"""The small file by which servers know what to serve: written whole by the agent, read by every server process."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from lead_scoring_assets.errors import ServingError
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.rollout.traffic import Traffic

FILE = "deployment.json"


@dataclass(frozen=True)
class ServedModel:
    """A version, its folder relative to the data folder, and the fingerprint of what is in there."""

    version: int
    bundle: str
    fingerprint: str


@dataclass(frozen=True)
class DeploymentFile:
    """`sequence` counts what was written before. `last_label_at`: when the newest label became known;
    `model_trained_at`: up to when the champion has seen labels; `base_rate`: how many of the leads that it was trained on
    converted, which is what is answered when no model can. `next_up`: who may be the champion from one moment to the next."""

    sequence: int
    written_at: datetime
    champion: ServedModel
    challenger: ServedModel | None
    traffic: Traffic
    last_label_at: datetime | None
    model_trained_at: datetime | None
    base_rate: float | None
    next_up: tuple[ServedModel, ...] = ()

    @property
    def shadow(self) -> ServedModel | None:
        """The challenger, where it scores what the champion answers."""
        return self.challenger if self.traffic.mode == "shadow" else None

    def says_the_same_as(self, other: "DeploymentFile | None") -> bool:
        """Whether a server that follows the other would do and tell the same."""
        return other is not None and self._told() == other._told()

    def to_bytes(self) -> bytes:
        moments = ("written_at", "last_label_at", "model_trained_at")
        told = {name: _iso(getattr(self, name)) for name in moments}
        return (json.dumps({**asdict(self), **told}, indent=1) + "\n").encode()

    def write(self, path: Path) -> None:
        write_atomically(path, self.to_bytes())

    def _told(self) -> tuple[Any, ...]:
        models = self.champion, self.challenger, self.traffic
        return *models, self.last_label_at, self.model_trained_at, self.base_rate, self.next_up

    @classmethod
    def of_bytes(cls, content: bytes, path: Path) -> Self:
        """What `to_bytes` wrote.

        Raises:
            ServingError: it is something else.
        """
        try:
            told: dict[str, Any] = json.loads(content)
            challenger = told.pop("challenger")
            return cls(
                sequence=told["sequence"],
                written_at=datetime.fromisoformat(told["written_at"]),
                champion=ServedModel(**told["champion"]),
                challenger=None if challenger is None else ServedModel(**challenger),
                traffic=Traffic.from_dict(told["traffic"]),
                last_label_at=_moment(told["last_label_at"]),
                model_trained_at=_moment(told["model_trained_at"]),
                base_rate=told["base_rate"],
                # A file of an earlier version of this product says nothing of them.
                next_up=tuple(ServedModel(**model) for model in told.get("next_up", ())),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            raise ServingError(
                f"{path} cannot be read ({problem!r}): expected what the agent of `lead-scoring serve` writes. Delete it, and "
                "the agent writes it anew; until then servers go on with the model that they have."
            ) from None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The file's content; None where nothing was ever written.

        Raises:
            ServingError: as for `of_bytes`.
        """
        try:
            return cls.of_bytes(path.read_bytes(), path)
        except FileNotFoundError:
            return None


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
