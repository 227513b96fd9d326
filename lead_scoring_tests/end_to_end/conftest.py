"""The whole history, played once for all files of this room."""

import shutil
from pathlib import Path

import pytest

from lead_scoring_tests.conftest import RunVerb, made_once


@pytest.fixture(scope="session")
def whole_history(
    first_months: tuple[Path, ...], run_verb: RunVerb, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ...]:
    """All months through 2010-05 by the two commands behind `make run`, the second in two parts: a home, and a copy of it
    as it lies."""

    def make() -> tuple[Path, Path]:
        home = first_months[0]
        done = run_verb(home, "materialize")
        assert "20 of 20 periods done" in done.stderr
        assert " 0 failed" in done.stderr
        return home, shutil.copytree(home, tmp_path_factory.mktemp("whole") / home.name)

    return made_once(tmp_path_factory, "whole_history", make)
