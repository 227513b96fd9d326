"""Plays the CRM of the bank in the UCI data: lands its leads and outcomes month by month, as they become known.

Real: every lead, its date, and whether it converted. SIMULATED: when the outcome became known and which lost leads
were reported at all, because the data set records neither; `LabelDelay` states the distribution and its seed.
Reading the landing folder back does not live here.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lead_scoring_assets.errors import SettingsError, SourceError
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.leads.bank import BANK_COLUMN_TYPES

LEAD_COLUMNS: Final[tuple[str, ...]] = (
    "lead_id",
    "created_at",
    "known_at",
    # The outcome `y` is no property of a lead on the day it comes in: it lands with the outcomes.
    *(column for column in BANK_COLUMN_TYPES if column != "y"),
)
OUTCOME_COLUMNS: Final[tuple[str, ...]] = ("lead_id", "outcome", "outcome_at", "known_at", "reason", "provenance")
PROVENANCE: Final = "simulated delay"

_REASONS: Final = {"converted": "subscribed a term deposit", "lost": "declined"}
# A date has day resolution, so what carries it is known for sure only when that day is over.
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class LabelDelay:
    """How long, in days after `created_at`, outcomes take: the assumption of this simulation, not a measurement.

    Delays are lognormal, exp(ln(median) + sigma * Z), rounded to whole days; what falls outside [1, maximum_days - 1]
    is moved to the nearer bound, which leaves the median as stated. `maximum_days` is the conversion window; the
    bound is one day less because an outcome is known a day after it happened.

    Raises SettingsError when a value cannot be used.
    """

    maximum_days: int
    median_days_converted: float = 9.0
    median_days_lost: float = 14.0
    sigma: float = 0.6
    share_lost_reported: float = 0.6
    seed: int = 222

    def __post_init__(self) -> None:
        """Refuse values under which the stated distribution would not be the simulated one."""
        longest = self.maximum_days - 1
        usable = {
            "maximum_days": (self.maximum_days >= 2, "2 or more"),
            "median_days_converted": (1 <= self.median_days_converted <= longest, f"from 1 to {longest}"),
            "median_days_lost": (1 <= self.median_days_lost <= longest, f"from 1 to {longest}"),
            "sigma": (0 <= self.sigma < float("inf"), "0 or more"),
            "share_lost_reported": (0 <= self.share_lost_reported <= 1, "from 0 to 1"),
            "seed": (self.seed >= 0, "0 or more"),
        }
        for name, (is_usable, expected) in usable.items():
            if not is_usable:
                raise SettingsError(
                    f"Expected {name} {expected}; found {getattr(self, name)!r}; in the simulated label delay of the "
                    "bank's CRM (maximum_days is the conversion window). Change that value."
                )


def simulate_outcomes(leads: pd.DataFrame, delay: LabelDelay) -> pd.DataFrame:
    """Give every converted lead, and a share of the others, an outcome event at a simulated date.

    The draws of a lead depend on the seed and on its row number in the file (the number in `lead_id`) alone, so they
    are the same whichever leads are passed and whatever months are written.

    Parameters
    ----------
    leads:
        As `read_bank_leads` gives them; needs `lead_id`, `created_at` and `y`.
    delay:
        The assumed distribution.

    Returns
    -------
    pandas.DataFrame, at most one row per lead, ordered by `outcome_at`, then file order
        `lead_id`, `outcome` ("converted", "lost"), `outcome_at` (datetime64[us, UTC], midnight), `reason`,
        `provenance` ("simulated delay"). A lead without a row stays open: no response.

    Raises
    ------
    SourceError
        A `lead_id` is not of the form "bank-<row number>", or a `y` is neither "yes" nor "no".
    """
    rows = _row_positions(leads)
    is_converted = _is_converted(leads)
    normal_draws, report_draws = _draws(int(rows.max(initial=-1)) + 1, delay.seed)
    is_reported = is_converted | (report_draws[rows] < delay.share_lost_reported)
    delay_days = _delay_days(normal_draws[rows], is_converted, delay)
    outcome = pd.Series(np.where(is_converted, "converted", "lost"), index=leads.index)
    outcomes = pd.DataFrame(
        {
            "lead_id": leads["lead_id"],
            "outcome": outcome,
            "outcome_at": leads["created_at"] + delay_days.astype("timedelta64[D]").astype("timedelta64[us]"),
            "reason": outcome.map(_REASONS),
            "provenance": PROVENANCE,
        }
    )
    return outcomes[is_reported].sort_values(["outcome_at", "lead_id"]).reset_index(drop=True)


def write_landing(landing: Path, period: str, leads: pd.DataFrame, outcomes: pd.DataFrame) -> list[Path]:
    """Write the leads and the outcomes that become known in one month, as two CSV files.

    Of the frames given, only rows with start < known_at <= end are written; both files always exist afterwards, with
    their header, and the same input gives the same bytes. RFC 4180 (comma, CRLF line ends), UTF-8, ISO dates. Each
    file appears whole or not at all; the outcomes come last, so a month that has them has both.

    Parameters
    ----------
    landing:
        The landing folder: receives `leads/<period>/bank-<period>.csv` and `outcomes/<period>/bank-<period>.csv`.
    period:
        A month in UTC, "YYYY-MM".
    leads, outcomes:
        As `read_bank_leads` and `simulate_outcomes` give them, whole or in part.

    Returns the two paths, leads first. Raises SourceError when `period` is not a month.
    """
    frames = {"leads": leads_known_in(leads, period), "outcomes": outcomes_known_in(outcomes, period)}
    written = []
    for kind, frame in frames.items():
        path = _landing_path(landing, kind, period)
        write_atomically(path, _csv_bytes(frame))
        written.append(path)
    return written


def leads_known_in(leads: pd.DataFrame, period: str) -> pd.DataFrame:
    """Return the leads that become known in a month: `LEAD_COLUMNS`, `known_at` = `created_at` + 1 day."""
    known = leads.assign(known_at=leads["created_at"] + _DAY)
    return _known_in(known, period).loc[:, list(LEAD_COLUMNS)]


def outcomes_known_in(outcomes: pd.DataFrame, period: str) -> pd.DataFrame:
    """Return the outcomes that become known in a month: `OUTCOME_COLUMNS`, `known_at` = `outcome_at` + 1 day."""
    known = outcomes.assign(known_at=outcomes["outcome_at"] + _DAY)
    return _known_in(known, period).loc[:, list(OUTCOME_COLUMNS)]


class BankCrm:
    """The bank's CRM as a source that lands one month after the other."""

    def __init__(self, leads: pd.DataFrame, delay: LabelDelay, landing: Path) -> None:
        """Take leads as `read_bank_leads` gives them (at least one); writes nothing yet."""
        self._leads = leads
        self._outcomes = simulate_outcomes(leads, delay)
        self._landing = landing

    def periods(self) -> list[str]:
        """Return every month, "YYYY-MM" ascending, from the first to the last `known_at`, empty months included."""
        event_times = pd.concat([self._leads["created_at"], self._outcomes["outcome_at"]])
        # Known a day after the event, and a month includes its end: the month of the event is the month of known_at.
        first, last = event_times.min().strftime("%Y-%m"), event_times.max().strftime("%Y-%m")
        return [str(month) for month in pd.period_range(first, last, freq="M")]

    def slice(self, period: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the leads and the outcomes that become known in a month, as `land` writes them."""
        return leads_known_in(self._leads, period), outcomes_known_in(self._outcomes, period)

    def land(self, period: str) -> list[Path]:
        """Write the two files of a month and return their paths; landing twice gives the same bytes.

        Raises SourceError when the bank has no such month.
        """
        periods = self.periods()
        if period not in periods:
            raise SourceError(
                f"Expected a month from {periods[0]} to {periods[-1]}; found {period!r}; in the simulated CRM of the "
                "bank. Ask for one of those months."
            )
        return write_landing(self._landing, period, self._leads, self._outcomes)

    def landed_periods(self) -> list[str]:
        """Return the months, ascending, whose two files are both in the landing folder."""
        return [period for period in self.periods() if self._is_landed(period)]

    def next_period(self) -> str | None:
        """Return the earliest month that has not landed, or None when all have."""
        return next((period for period in self.periods() if not self._is_landed(period)), None)

    def _is_landed(self, period: str) -> bool:
        return all(_landing_path(self._landing, kind, period).is_file() for kind in ("leads", "outcomes"))


def _row_positions(leads: pd.DataFrame) -> NDArray[np.int64]:
    """Return the zero-based row number of each lead in the file, read from `lead_id`."""
    digits = leads["lead_id"].astype(str).str.extract(r"^bank-(\d{5})$", expand=False)
    if digits.isna().any():
        found = leads.loc[digits.isna(), "lead_id"].iloc[0]
        raise SourceError(
            f"Expected every lead_id as bank-<5 digit row number>; found {found!r}; in the leads given to the "
            "simulated CRM of the bank. Pass leads as read_bank_leads gives them."
        )
    return digits.to_numpy(dtype=np.int64) - 1


def _is_converted(leads: pd.DataFrame) -> NDArray[np.bool_]:
    unknown = ~leads["y"].isin(["yes", "no"])
    if unknown.any():
        raise SourceError(
            f"Expected y as 'yes' or 'no'; found {leads.loc[unknown, 'y'].iloc[0]!r}; in the leads given to the "
            "simulated CRM of the bank. Pass leads as read_bank_leads gives them."
        )
    return leads["y"].eq("yes").to_numpy(dtype=np.bool_)


def _draws(row_count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return standard normal and uniform draws, one of each per row of the file.

    Two generators, so that the draws of the first n rows do not depend on how many rows follow.
    """
    for_delay, for_report = np.random.default_rng(seed).spawn(2)
    return for_delay.standard_normal(row_count), for_report.random(row_count)


def _delay_days(
    normal_draws: NDArray[np.float64], is_converted: NDArray[np.bool_], delay: LabelDelay
) -> NDArray[np.int64]:
    median_days = np.where(is_converted, delay.median_days_converted, delay.median_days_lost)
    days = np.rint(median_days * np.exp(delay.sigma * normal_draws))
    bounded: NDArray[np.int64] = np.clip(days, 1, delay.maximum_days - 1).astype(np.int64)
    return bounded


def _known_in(frame: pd.DataFrame, period: str) -> pd.DataFrame:
    """Return the rows with start < known_at <= end: midnight at the end of a month's last day belongs to that month."""
    start = _month_start(period)
    end = start + pd.DateOffset(months=1)
    return frame[frame["known_at"].gt(start) & frame["known_at"].le(end)].reset_index(drop=True)


def _month_start(period: str) -> pd.Timestamp:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
        raise SourceError(
            f"Expected a month as YYYY-MM; found {period!r}; in a request to the simulated CRM of the bank. "
            "Write it like 2008-05."
        )
    return pd.Timestamp(f"{period}-01", tz="UTC")


def _landing_path(landing: Path, kind: str, period: str) -> Path:
    return landing / kind / period / f"bank-{period}.csv"


def _csv_bytes(frame: pd.DataFrame) -> bytes:
    text: str = frame.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\r\n")
    return text.encode("utf-8")
