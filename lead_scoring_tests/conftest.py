"""Fixtures that several rooms share: the real bank file, fetched and read once per session."""

import os
from pathlib import Path

import pandas as pd
import pytest

from lead_scoring_assets.leads.bank import BANK_ARCHIVE_URL, BANK_FILE_NAME, fetch_bank_file, read_bank_leads

_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def bank_mirror() -> Path:
    """The folder that holds the real file; its absence is a failure, because a skip would hide what is not tested."""
    folder = Path(os.environ.get("LEAD_SCORING_MIRROR") or _BESIDE_THE_REPOSITORY)
    if not any((folder / name).is_file() for name in (BANK_FILE_NAME, f"{BANK_FILE_NAME}.gz")):
        pytest.fail(
            f"Expected {BANK_FILE_NAME} or {BANK_FILE_NAME}.gz; found neither; in {folder}. "
            f"Set LEAD_SCORING_MIRROR to a folder that holds it (it is in the bank.zip inside {BANK_ARCHIVE_URL})."
        )
    return folder


@pytest.fixture(scope="session")
def bank_csv(bank_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verified `bank-full.csv`, fetched from the mirror."""
    return fetch_bank_file(tmp_path_factory.mktemp("bank-downloads"), mirror=bank_mirror)


@pytest.fixture(scope="session")
def bank_leads(bank_csv: Path) -> pd.DataFrame:
    """The real leads with their dates; shared by all tests, so copy before changing a row."""
    return read_bank_leads(bank_csv)
