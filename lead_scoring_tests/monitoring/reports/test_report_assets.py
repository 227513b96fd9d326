"""Both reports over real tables: what stands on the pages is what stands in the tables, and Evidently stays outside."""

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.drift.measure import measure_drift
from lead_scoring_assets.monitoring.drift.reference import build_reference
from lead_scoring_assets.monitoring.reports.assets import _is_drawn
from lead_scoring_assets.monitoring.reports.drift_page import drift_page
from lead_scoring_assets.monitoring.reports.evidently_process import DriftPage, render_pages
from lead_scoring_assets.settings import SETTINGS_FILE, Home
from lead_scoring_tests.conftest import MakeHome


def page_of(target: Path, **changes: Any) -> DriftPage:
    frame = pd.DataFrame({"x": np.arange(300.0), "c": ["a", "b", "c"] * 100})
    drifts = measure_drift(build_reference(frame, ["x"], ["c"]), frame)
    given = {"target": target, "title": f"Drift {target.stem}", "drifts": drifts, "reference": frame, "current": frame}
    given |= {"rows": (9_000, 300), "numeric": ["x"], "categorical": ["c"], "psi_warning": 0.1, "psi_drift": 0.25}
    return DriftPage(**{**given, "labelled": None, **changes})


def test_pages_are_drawn_in_another_process_which_is_paid_once(tmp_path: Path) -> None:
    before = set(sys.modules)
    render_pages([page_of(tmp_path / "one.html"), page_of(tmp_path / "two.html")])
    assert not {"evidently", "plotly"} & (set(sys.modules) - before)
    for name in ("one", "two"):
        page = (tmp_path / f"{name}.html").read_text()
        assert f"<title>Drift {name}</title>" in page
        assert "5,000 of 9,000 reference rows and 300 of 300 current rows" in page


def test_no_page_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/there/is/no/python")
    render_pages([])


def test_a_page_that_cannot_be_drawn_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LeadScoringError, match=r"evidently: never") as told:
        render_pages([page_of(tmp_path / "one.html", reference=None)])
    assert "one.html" in str(told.value)


def test_the_light_page_holds_every_number_and_no_markup_of_the_data() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"<b>x": rng.normal(size=900), "c": rng.choice(["a", "b"], 900)})
    drifts = measure_drift(build_reference(frame, ["<b>x"], ["c"]), frame.assign(**{"<b>x": frame["<b>x"] + 2}))
    page = drift_page("Drift </title>", "SIMULATED <i>", drifts)
    assert "<b>x" not in page
    assert "SIMULATED &lt;i&gt;" in page
    assert len(page) < 10_000
    for drift in drifts:
        assert drift.psi is not None
        assert f"{drift.psi:.3f}" in page
    assert page.index("DRIFT") < page.index("ok</td>")


@pytest.mark.parametrize(("wanted", "drawn"), [("newest", ["2008-07"]), ("all", ["2008-06", "2008-07"]), ("never", [])])
def test_the_settings_say_which_periods_evidently_draws(make_home: MakeHome, wanted: str, drawn: list[str]) -> None:
    root = make_home(f"reports-{wanted}")
    settings = (root / SETTINGS_FILE).read_text()
    (root / SETTINGS_FILE).write_text(re.sub(r"evidently: newest", f"evidently: {wanted}", settings))
    house = Installation(Home(root))
    calendar = house.settings.calendar
    ReplayClock(house.home.clock_file).move_to(calendar.period("2008-07").end + timedelta(hours=1))
    assert [key for key in ("2008-06", "2008-07") if _is_drawn(house, calendar.period(key))] == drawn
