"""What a simulated world is made of: its size, its seed, and the changes that are planted in it. All of it SIMULATED."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np

from lead_scoring_assets.errors import SettingsError

EFFECTS: Final[Mapping[str, str]] = {
    "ad_campaign": "share of leads that come from a new campaign: other sources, regions, sizes (covariate drift)",
    "fee_change": "fall of the log odds of conversion of leads from India (concept drift)",
    "student_surge": "share of students that is added to the usual one",
    "slower_outcomes": "by what share of themselves the delays of outcomes grow",
    "fewer_reps": "share of the reps' capacity that is cut",
    "phone_missing": "share of leads whose phone_present is exported empty",
    "industry_missing": "share of web form leads whose industry is exported empty (a new version of the form)",
}
"""The changes that can be planted, each with what its strength means."""

_HIGHEST: Final[Mapping[str, float]] = {"fee_change": 5.0, "slower_outcomes": 5.0, "student_surge": 0.5}
_SHARE_WORKED = 0.7
_WORKING_DAYS_A_YEAR = 250
_CONTACTS_A_REP_A_DAY = 8


@dataclass(frozen=True)
class Effect:
    """One planted change: the first local day on which it holds, and how strong it is (see `EFFECTS`)."""

    start: date
    strength: float


@dataclass(frozen=True, kw_only=True)
class World:
    """A simulated free zone. Without `planted` it is the null world: seasons at most, but nothing ever drifts.

    `leads_a_month`: mean over a year. `activities_a_lead`: mean, before and after creation together.
    `contacts_a_working_day`: leads that all reps together can work; None: seven in ten of those that come.
    `patience_days`: a lead that was not worked so long after it became known is given up.
    `unprioritised_share`: share of the contacts that reps choose without looking at the priority.

    Raises SettingsError when a value cannot be used.
    """

    seed: int = 222
    leads_a_month: int = 2_000
    activities_a_lead: float = 10.0
    contacts_a_working_day: int | None = None
    patience_days: int = 10
    unprioritised_share: float = 0.1
    seasonality: bool = True
    planted: Mapping[str, Effect] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse by name what would not be the stated world."""
        usable = {
            "seed": (0 <= self.seed < 2**64, "0 or more, below 2^64"),
            "leads_a_month": (0 < self.leads_a_month <= 20_000_000, "from 1 to 20,000,000"),
            "activities_a_lead": (0 <= self.activities_a_lead <= 200, "from 0 to 200"),
            "contacts_a_working_day": (
                self.contacts_a_working_day is None or self.contacts_a_working_day >= 0,
                "0 or more",
            ),
            "patience_days": (1 <= self.patience_days <= 60, "from 1 to 60"),
            "unprioritised_share": (0 <= self.unprioritised_share <= 1, "from 0 to 1"),
        }
        for name, (is_usable, expected) in usable.items():
            if not is_usable:
                raise _refused(name, expected, getattr(self, name))
        for name, effect in self.planted.items():
            if name not in EFFECTS:
                raise _refused("planted", f"effects among {', '.join(EFFECTS)}", name)
            highest = _HIGHEST.get(name, 1.0)
            if not 0 <= effect.strength <= highest:
                raise _refused(f"planted.{name}.strength", f"from 0 to {highest:g}", effect.strength)

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> "World":
        """The world that a settings section describes, as a mapping; effects that are None are not planted."""
        planted = {name: Effect(**each) for name, each in section.get("planted", {}).items() if each is not None}
        return cls(**{**section, "planted": planted})

    def strength(self, effect: str, day: int) -> float:
        """How strong `effect` is on a local day (days since 1970); 0 before it starts, or when it is not planted."""
        found = self.planted.get(effect)
        return found.strength if found and day >= day_number(found.start) else 0.0

    def capacity(self, day: int) -> int:
        """How many leads can be worked on a local day, if it is a working day."""
        usual = self.contacts_a_working_day
        if usual is None:
            usual = round(_SHARE_WORKED * self.leads_a_month * 12 / _WORKING_DAYS_A_YEAR)
        # The product may come out a hair below a whole number.
        return math.floor(usual * (1 - self.strength("fewer_reps", day)) + 1e-9)

    def described(self) -> dict[str, Any]:
        """All parameters as plain values, for the file of truth."""
        planted = {
            name: {"start": each.start.isoformat(), "strength": each.strength}
            for name, each in sorted(self.planted.items())
        }
        return {**asdict(self), "planted": planted}


def reps_for(capacity: int) -> int:
    """How many reps share a day's contacts: none has more than eight."""
    return -(-capacity // _CONTACTS_A_REP_A_DAY)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return int(np.datetime64(day, "D").astype(np.int64))


def _refused(name: str, expected: str, found: object) -> SettingsError:
    return SettingsError(f"Expected {name} {expected}; found {found!r}; in the simulated free zone. Change that value.")
