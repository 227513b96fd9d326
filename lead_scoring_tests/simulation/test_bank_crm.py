"""The bank's CRM: nothing lost or landed twice, conversions real, delays as stated, bytes the same every time."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lead_scoring_assets.errors import SettingsError, SourceError
from lead_scoring_assets.simulation.bank_crm import (
    LEAD_COLUMNS,
    OUTCOME_COLUMNS,
    BankCrm,
    LabelDelay,
    simulate_outcomes,
    write_landing,
)

WINDOW_DAYS = 30
DELAY = LabelDelay(maximum_days=WINDOW_DAYS)


@pytest.fixture(scope="module")
def outcomes(bank_leads: pd.DataFrame) -> pd.DataFrame:
    return simulate_outcomes(bank_leads, DELAY)


@pytest.fixture
def crm(bank_leads: pd.DataFrame, tmp_path: Path) -> BankCrm:
    return BankCrm(bank_leads, DELAY, tmp_path / "landing")


@pytest.fixture(scope="module")
def whole_landing(bank_leads: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landing folder with every month."""
    landing = tmp_path_factory.mktemp("landing")
    crm = BankCrm(bank_leads, DELAY, landing)
    for period in crm.periods():
        crm.land(period)
    return landing


def delay_days(leads: pd.DataFrame, outcomes: pd.DataFrame, outcome: str) -> "pd.Series[float]":
    joined = outcomes[outcomes["outcome"] == outcome].merge(leads, on="lead_id", validate="one_to_one")
    return (joined["outcome_at"] - joined["created_at"]).dt.total_seconds() / 86_400


def files_of(landing: Path) -> dict[str, bytes]:
    return {str(path.relative_to(landing)): path.read_bytes() for path in landing.rglob("*") if path.is_file()}


# --- What is real


def test_conversions_are_those_of_the_file(bank_leads: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    converted = set(outcomes.loc[outcomes["outcome"] == "converted", "lead_id"])
    assert converted == set(bank_leads.loc[bank_leads["y"] == "yes", "lead_id"])
    assert len(converted) == 5289
    assert not outcomes["lead_id"].duplicated().any()
    assert set(outcomes["outcome"]) == {"converted", "lost"}


# --- What is simulated


def test_outcomes_say_that_their_delay_is_simulated(outcomes: pd.DataFrame) -> None:
    assert list(outcomes.columns) == ["lead_id", "outcome", "outcome_at", "reason", "provenance"]
    assert str(outcomes["outcome_at"].dtype) == "datetime64[us, UTC]"
    assert set(outcomes["provenance"]) == {"simulated delay"}
    assert set(zip(outcomes["outcome"], outcomes["reason"], strict=True)) == {
        ("converted", "subscribed a term deposit"),
        ("lost", "declined"),
    }
    assert outcomes["outcome_at"].is_monotonic_increasing


@pytest.mark.parametrize(("outcome", "median_days"), [("converted", 9), ("lost", 14)])
def test_delays_are_whole_days_inside_the_window_with_the_stated_median(
    outcome: str, median_days: int, bank_leads: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    days = delay_days(bank_leads, outcomes, outcome)
    assert days.eq(days.round()).all()
    assert days.between(1, WINDOW_DAYS - 1).all()
    assert days.median() == median_days


def test_delays_follow_the_stated_lognormal(bank_leads: pd.DataFrame) -> None:
    """With a window that cuts nothing off, the logarithms have the stated mean and spread (20,000 draws and more)."""
    wide = LabelDelay(maximum_days=10_000, median_days_lost=300.0, share_lost_reported=1.0)
    log_days = np.log(delay_days(bank_leads, simulate_outcomes(bank_leads, wide), "lost"))
    standard_error = 0.6 / np.sqrt(len(log_days))
    assert log_days.mean() == pytest.approx(np.log(300.0), abs=4 * standard_error)
    assert log_days.std() == pytest.approx(0.6, abs=4 * standard_error)


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_the_stated_share_of_lost_leads_is_reported(share: float, bank_leads: pd.DataFrame) -> None:
    outcomes = simulate_outcomes(bank_leads, LabelDelay(maximum_days=WINDOW_DAYS, share_lost_reported=share))
    lost = int(bank_leads["y"].eq("no").sum())
    reported = int(outcomes["outcome"].eq("lost").sum())
    assert reported / lost == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / lost) + 1e-12)


def test_a_leads_outcome_does_not_depend_on_the_other_leads(bank_leads: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    part = bank_leads.iloc[20_000:9_000:-7]
    expected = outcomes[outcomes["lead_id"].isin(part["lead_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(simulate_outcomes(part, DELAY), expected)


def test_another_seed_moves_dates_but_not_conversions(bank_leads: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    other = simulate_outcomes(bank_leads, LabelDelay(maximum_days=WINDOW_DAYS, seed=223))
    ours, theirs = (
        each[each["outcome"] == "converted"].set_index("lead_id")["outcome_at"] for each in (outcomes, other)
    )
    assert set(ours.index) == set(theirs.index)
    assert ours.ne(theirs.reindex(ours.index)).mean() > 0.8


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"maximum_days": 1}, "maximum_days 2 or more; found 1"),
        ({"median_days_converted": 0.5}, "median_days_converted from 1 to 29; found 0.5"),
        ({"median_days_lost": 30.0}, "median_days_lost from 1 to 29; found 30.0"),
        ({"sigma": -0.1}, "sigma 0 or more; found -0.1"),
        ({"sigma": float("nan")}, "sigma 0 or more; found nan"),
        ({"share_lost_reported": 1.1}, "share_lost_reported from 0 to 1; found 1.1"),
        ({"seed": -1}, "seed 0 or more; found -1"),
    ],
)
def test_an_unusable_delay_is_refused_by_name(changed: dict[str, float], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        LabelDelay(**{"maximum_days": WINDOW_DAYS, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(("column", "value"), [("lead_id", "bank-1"), ("lead_id", "crm-00001"), ("y", "maybe")])
def test_leads_of_another_shape_are_refused(column: str, value: str, bank_leads: pd.DataFrame) -> None:
    with pytest.raises(SourceError, match=rf"Expected .*{column}.*found '{value}'.*read_bank_leads"):
        simulate_outcomes(bank_leads.head(3).assign(**{column: value}), DELAY)


# --- Months


def test_periods_run_from_the_first_lead_to_the_last_outcome_without_a_gap(crm: BankCrm) -> None:
    periods = crm.periods()
    assert (periods[0], periods[-1], len(periods)) == ("2008-05", "2010-12", 32)
    leads, outcomes = crm.slice("2008-09")
    assert len(leads) == 0
    assert len(outcomes) > 0
    leads, outcomes = crm.slice("2010-12")
    assert len(leads) == 0
    assert len(outcomes) > 0


def test_every_lead_and_outcome_is_in_exactly_one_period(
    crm: BankCrm, bank_leads: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    slices = [crm.slice(period) for period in crm.periods()]
    assert pd.concat([leads for leads, _ in slices])["lead_id"].tolist() == bank_leads["lead_id"].tolist()
    assert pd.concat([landed for _, landed in slices])["lead_id"].tolist() == outcomes["lead_id"].tolist()


def test_every_row_is_known_inside_its_period_a_day_after_it_happened(crm: BankCrm) -> None:
    for period in crm.periods():
        start = pd.Timestamp(f"{period}-01", tz="UTC")
        end = start + pd.DateOffset(months=1)
        for frame, event_at in zip(crm.slice(period), ("created_at", "outcome_at"), strict=True):
            assert frame["known_at"].gt(start).all()
            assert frame["known_at"].le(end).all()
            assert (frame["known_at"] - frame[event_at]).eq(pd.Timedelta(days=1)).all()


def test_what_is_known_at_midnight_after_the_last_day_belongs_to_the_month_that_ended(crm: BankCrm) -> None:
    leads, _ = crm.slice("2008-05")
    assert leads["known_at"].max() <= pd.Timestamp("2008-06-01", tz="UTC")
    of_last_day = leads[leads["created_at"] == pd.Timestamp("2008-05-30", tz="UTC")]
    assert len(of_last_day) > 0
    _, outcomes = crm.slice("2008-05")
    assert outcomes["known_at"].max() == pd.Timestamp("2008-06-01", tz="UTC")


def test_no_outcome_is_known_after_the_conversion_window(crm: BankCrm, bank_leads: pd.DataFrame) -> None:
    landed = pd.concat([crm.slice(period)[1] for period in crm.periods()])
    joined = landed.merge(bank_leads, on="lead_id")
    assert (joined["known_at"] - joined["created_at"]).max() <= pd.Timedelta(days=WINDOW_DAYS)


# --- Files


def test_landed_files_hold_the_slices_and_no_outcome_among_the_leads(whole_landing: Path, crm: BankCrm) -> None:
    for period in crm.periods():
        for kind, frame in zip(("leads", "outcomes"), crm.slice(period), strict=True):
            path = whole_landing / kind / period / f"bank-{period}.csv"
            with path.open(encoding="utf-8", newline="") as stream:
                header, *rows = list(csv.reader(stream, strict=True))
            assert header == list(LEAD_COLUMNS if kind == "leads" else OUTCOME_COLUMNS)
            dated = frame.assign(
                **{name: frame[name].dt.strftime("%Y-%m-%d") for name in header if name.endswith("_at")}
            )
            assert rows == dated.astype(str).to_numpy().tolist()
    assert "y" not in LEAD_COLUMNS


def test_files_are_as_rfc_4180_says(whole_landing: Path) -> None:
    content = (whole_landing / "leads" / "2008-05" / "bank-2008-05.csv").read_bytes()
    lines = content.split(b"\r\n")
    assert lines[-1] == b""
    assert len(lines) == 1 + 7957 + 1
    assert lines[0] == (
        b"lead_id,created_at,known_at,age,job,marital,education,default,balance,housing,loan,contact,day,month,"
        b"duration,campaign,pdays,previous,poutcome"
    )
    assert lines[1] == (
        b"bank-00001,2008-05-05,2008-05-06,58,management,married,tertiary,no,2143,yes,no,unknown,5,may,261,1,-1,0,unknown"
    )
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_an_empty_month_lands_both_files_with_their_header(crm: BankCrm, tmp_path: Path) -> None:
    leads, outcomes = crm.land("2010-12")
    assert leads.read_bytes() == ",".join(LEAD_COLUMNS).encode() + b"\r\n"
    assert outcomes.read_bytes().startswith(",".join(OUTCOME_COLUMNS).encode() + b"\r\n")
    for path in write_landing(tmp_path / "other", "2011-06", *crm.slice("2010-12")):
        assert path.read_bytes().count(b"\r\n") == 1


def test_same_seed_same_bytes_whatever_the_order_of_landing(
    whole_landing: Path, bank_leads: pd.DataFrame, tmp_path: Path
) -> None:
    again = BankCrm(bank_leads.copy(), LabelDelay(maximum_days=WINDOW_DAYS), tmp_path)
    for period in reversed(again.periods()):
        again.land(period)
    assert files_of(tmp_path) == files_of(whole_landing)


def test_landing_twice_gives_the_same_files(crm: BankCrm, tmp_path: Path) -> None:
    written = crm.land("2008-05")
    first = files_of(tmp_path)
    assert crm.land("2008-05") == written
    assert files_of(tmp_path) == first
    assert sorted(first) == ["landing/leads/2008-05/bank-2008-05.csv", "landing/outcomes/2008-05/bank-2008-05.csv"]


def test_months_land_one_after_the_other_until_none_is_left(crm: BankCrm) -> None:
    assert crm.landed_periods() == []
    assert crm.next_period() == "2008-05"
    landed = []
    while (period := crm.next_period()) is not None:
        crm.land(period)
        landed.append(period)
    assert landed == crm.periods() == crm.landed_periods()


def test_a_month_with_one_file_of_two_has_not_landed(crm: BankCrm) -> None:
    _, outcomes = crm.land("2008-05")
    outcomes.unlink()
    assert crm.landed_periods() == []
    assert crm.next_period() == "2008-05"


@pytest.mark.parametrize("period", ["2011-01", "2008-04", "2008-5", "may"])
def test_a_month_that_the_bank_does_not_have_is_refused(period: str, crm: BankCrm, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"from 2008-05 to 2010-12; found '{period}'"):
        crm.land(period)
    assert files_of(tmp_path) == {}


@pytest.mark.parametrize("period", ["2008-13", "2008-5", "../2008-05", "2008-05\n"])
def test_what_is_no_month_names_no_folder(period: str, bank_leads: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Expected a month as YYYY-MM"):
        write_landing(tmp_path, period, bank_leads.head(1), simulate_outcomes(bank_leads.head(1), DELAY))
    assert files_of(tmp_path) == {}
