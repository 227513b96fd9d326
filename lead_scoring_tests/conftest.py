"""Fixtures that several rooms share: the real bank file, fetched and read once per session."""

import os
from pathlib import Path

import pandas as pd
import pytest

from lead_scoring_assets.leads.bank import fetch_bank_file, read_bank_leads

_REPOSITORY = Path(__file__).resolve().parents[1]
_BESIDE_THE_REPOSITORY = _REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def bank_mirror() -> Path:
    """A folder that holds the real file: the named mirror, the one beside the repository, else the official download.

    Its absence is a failure, because a skip would hide what is not tested.
    """
    if named := os.environ.get("LEAD_SCORING_MIRROR"):
        return Path(named)
    if _BESIDE_THE_REPOSITORY.is_dir():
        return _BESIDE_THE_REPOSITORY
    return fetch_bank_file(_REPOSITORY / "data" / "downloads", mirror=None).parent


@pytest.fixture(scope="session")
def bank_csv(bank_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verified `bank-full.csv`, fetched from the mirror."""
    return fetch_bank_file(tmp_path_factory.mktemp("bank-downloads"), mirror=bank_mirror)


@pytest.fixture(scope="session")
def bank_leads(bank_csv: Path) -> pd.DataFrame:
    """The real leads with their dates; shared by all tests, so copy before changing a row."""
    return read_bank_leads(bank_csv)
