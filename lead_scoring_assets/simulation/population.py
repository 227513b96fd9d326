"""Who asks for a licence, and how likely each is to buy: the assumptions of the simulated free zone, as tables.

Every figure is an assumption, none a measurement. `shares` are in the order of `names`; `effects` move the log odds
of conversion if the lead is worked promptly.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Attribute:
    """One column of a lead: its values, how common each is, and what each does to the log odds of conversion."""

    names: tuple[str, ...]
    shares: tuple[float, ...]
    effects: tuple[float, ...]

    def code(self, name: str) -> int:
        return self.names.index(name)

    @property
    def cumulated(self) -> NDArray[np.float64]:
        return cumulated(self.shares)


def cumulated(shares: tuple[float, ...]) -> NDArray[np.float64]:
    """Upper bounds of the shares between 0 and 1, without the last, as `np.searchsorted` takes them."""
    bounds: NDArray[np.float64] = np.cumsum(shares) / np.sum(shares)
    return bounds[:-1]


MISSING: Final = 255
"""The code of a value that is not there."""

SOURCE: Final = Attribute(
    ("web_form", "google_ads", "referral", "partner", "event", "whatsapp"),
    (0.34, 0.20, 0.12, 0.16, 0.08, 0.10),
    (0.0, -0.45, 0.85, 0.55, -0.25, 0.20),
)
REGION: Final = Attribute(
    ("GCC", "India", "Europe", "Africa", "CIS", "other"),
    (0.24, 0.28, 0.16, 0.13, 0.09, 0.10),
    (0.30, 0.25, 0.20, -0.50, 0.10, -0.15),
)
INDUSTRY: Final = Attribute(
    ("consulting", "e_commerce", "trading", "technology", "media", "logistics", "food", "other"),
    (0.20, 0.17, 0.19, 0.15, 0.09, 0.07, 0.06, 0.07),
    (0.25, 0.0, 0.15, 0.20, -0.10, 0.05, -0.35, -0.20),
)
JOB_TITLE: Final = Attribute(
    ("founder", "manager", "consultant", "freelancer", "student", "other"),
    (0.40, 0.17, 0.13, 0.18, 0.07, 0.05),
    # A student's chance is not small, it is 0: see `lead_draws`.
    (0.45, 0.05, 0.15, -0.20, 0.0, -0.40),
)
PACKAGE: Final = Attribute(
    ("flexi_desk", "visa_bundle", "office", "warehouse"), (0.50, 0.24, 0.20, 0.06), (0.10, 0.15, -0.10, -0.40)
)
PHONE: Final = Attribute(("yes", "no"), (0.82, 0.18), (0.20, -0.60))
EMAIL_DOMAIN: Final = Attribute(("business", "free", "education"), (0.45, 0.52, 0.03), (0.30, -0.15, -0.40))
LANGUAGE: Final = Attribute(("en", "ar", "hi", "ru", "fr"), (0.58, 0.18, 0.12, 0.07, 0.05), (0.0,) * 5)

STUDENT: Final = JOB_TITLE.code("student")
FEE_REGION: Final = REGION.code("India")
WEB_FORM: Final = SOURCE.code("web_form")
STUDENT_EMAIL_SHARES: Final = (0.02, 0.43, 0.55)

# Where the planted campaign finds its leads. What they are changes, not how people like them decide.
CAMPAIGN_SOURCE: Final = (0.10, 0.80, 0.0, 0.0, 0.0, 0.10)
CAMPAIGN_REGION: Final = (0.10, 0.22, 0.05, 0.45, 0.03, 0.15)
CAMPAIGN_SIZE_FACTOR: Final = 0.5

MEDIAN_COMPANY_SIZE: Final = (3.0, 25.0, 6.0, 1.5, 1.0, 8.0)
COMPANY_SIZE_SIGMA: Final = 0.9
LARGEST_COMPANY: Final = 50_000
MEDIAN_DEAL_AED: Final = (12_500.0, 21_000.0, 28_000.0, 60_000.0)
DEAL_SIGMA: Final = 0.35

# So set that 12.5 % of all leads convert in the null world with the usual capacity.
INTERCEPT: Final = -2.87
INTENT_EFFECT: Final = 1.0
LOG_SIZE_EFFECT: Final = 0.15
UNWORKED_SHARE: Final = 0.15
"""What is left of the chance of conversion when nobody contacts the lead."""
WAITING_DAYS: Final = 8.0
"""In so many days of waiting, what a contact adds to the chance falls to 1/e."""

SHARE_SIZE_MISSING: Final = 0.30
SHARE_INDUSTRY_MISSING: Final = 0.03
SHARE_FILLED_IN_LATER: Final = 0.5
LATEST_FILLED_IN_DAYS: Final = 40
SHARE_LATE_LEADS: Final = 0.02
LATEST_LEAD_DAYS: Final = 10
SHARE_LATE_ACTIVITIES: Final = 0.01
LATEST_ACTIVITY_DAYS: Final = 7

# The existing process: points for the source, for each activity up to a limit, and for a phone number; of 100.
SOURCE_POINTS: Final = (15.0, 5.0, 30.0, 25.0, 10.0, 20.0)
ACTIVITY_POINTS, MOST_ACTIVITY_POINTS, PHONE_POINTS = 2.5, 50.0, 20.0
