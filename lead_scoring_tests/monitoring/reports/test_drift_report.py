"""The drift report: our numbers first and complete, the sample named, and no text of the data becomes markup."""

import json
import logging
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lead_scoring_assets.monitoring.drift.measure import FeatureDrift, measure_drift, summarise_drift
from lead_scoring_assets.monitoring.drift.reference import build_reference
from lead_scoring_assets.monitoring.reports.drift_report import render_drift_report
from lead_scoring_assets.monitoring.reports.samples import DRAWN_CATEGORIES

pytestmark = pytest.mark.filterwarnings("error")

MEGABYTE = 2**20


def leads(n_rows: int, *, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    amounts = rng.normal(shift, 1, n_rows)
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(n_rows) < 0.1, np.nan, amounts),
            "constant": np.ones(n_rows),
            "channel": rng.choice(np.array(["web", "phone", "fair", None], dtype=object), n_rows),
        }
    )


def measured(reference: pd.DataFrame, current: pd.DataFrame, **names: list[str]) -> list[FeatureDrift]:
    return measure_drift(build_reference(reference, names["numeric"], names["categorical"]), current)


def render(
    folder: Path, reference: pd.DataFrame, current: pd.DataFrame, *, title: str = "Drift", **options: Any
) -> tuple[str, list[dict[str, Any]]]:
    """The page and, as the browser gets them, its widgets."""
    numeric = [str(name) for name in reference if pd.api.types.is_float_dtype(reference[name])]
    categorical = [str(name) for name in reference if name not in numeric]
    drifts = options.pop("drifts", None) or measured(reference, current, numeric=numeric, categorical=categorical)
    target = folder / "drift.html"
    written = render_drift_report(target, title, drifts, reference, current, numeric, categorical, **options)
    assert written == target
    page = target.read_text(encoding="utf-8")
    block = re.search(r"<script>var drift = (.*?); var additional_graphs_drift = \{\};</script>", page, flags=re.DOTALL)
    assert block is not None
    return page, json.loads(block[1])["widgets"][0]["widgets"]


def texts(widgets: list[dict[str, Any]]) -> str:
    """All Markdown of the page, without its escapes."""
    return "\n".join(re.sub(r"\\(.)", r"\1", widget["params"]["text"]) for widget in of_type(widgets, "text"))


def of_type(widgets: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [widget for widget in widgets if widget["type"] == kind]


def drawn_columns(widgets: list[dict[str, Any]]) -> list[str]:
    return [widget["params"]["header"] for widget in of_type(widgets, "rich_data")]


def test_our_numbers_come_before_evidentlys_picture(tmp_path: Path) -> None:
    reference, current = leads(2_000), leads(1_000, shift=1.0, seed=1)
    drifts = measured(reference, current, numeric=["amount", "constant"], categorical=["channel"])

    page, widgets = render(tmp_path, reference, current, title="Week 12")

    kinds = [widget["type"] for widget in widgets]
    ours, drawn = kinds[:9], kinds[9:]
    assert ours == ["text", "counter", "big_graph", "table", "text", "text", "rich_data", "rich_data", "rich_data"]
    assert drawn, "Evidently's DataDriftPreset comes last"
    assert "Evidently's DataDriftPreset" in texts(widgets)
    assert "# Week 12" in texts(widgets[:1])
    assert summarise_drift(drifts).sentence in texts(widgets[:1])
    assert all(drift.reason in texts(widgets) for drift in drifts)
    assert "<title>Week 12</title>" in page
    assert len(page) < 6 * MEGABYTE


def test_the_table_holds_what_was_measured_worst_feature_first(tmp_path: Path) -> None:
    reference, current = leads(2_000), leads(1_000, shift=1.0, seed=1)
    amount = measured(reference, current, numeric=["amount"], categorical=[])[0]

    _, widgets = render(tmp_path, reference, current)

    rows = of_type(widgets, "table")[0]["params"]["data"]
    assert rows[0][:7] == [
        "amount",
        "DRIFT",
        f"{amount.psi:.3f}",
        f"{amount.psi_debiased:.3f}",
        f"{amount.js_distance:.3f}",
        f"{amount.ks_statistic:.3f}",
        f"{amount.cramers_v:.3f}",
    ]
    assert rows[0][8] == f"{amount.null_rate_change_pp:+.1f}"
    assert [row[1] for row in rows[1:]] == ["ok", "ok"]
    assert [row[5] for row in rows if row[0] == "channel"] == ["–"]


def test_the_p_value_shown_is_the_one_the_reason_names(tmp_path: Path) -> None:
    reference, current = leads(2_000), leads(1_000, shift=0.2, seed=1)

    _, widgets = render(tmp_path, reference, current)

    for row in of_type(widgets, "table")[0]["params"]["data"]:
        assert f"**{row[0]}**: " in texts(widgets)
        reason = texts(widgets).split(f"**{row[0]}**: ")[1].split("\n")[0]
        assert f"adjusted p = {row[7]}," in reason


def test_the_chart_draws_the_limits_it_is_given_and_cuts_bars_that_would_hide_them(tmp_path: Path) -> None:
    reference, current = leads(2_000), leads(1_000, shift=8.0, seed=1)

    _, widgets = render(tmp_path, reference, current, psi_warning=0.15, psi_drift=0.3)

    chart = of_type(widgets, "big_graph")[0]["params"]
    assert [line["x0"] for line in chart["layout"]["shapes"]] == [0.15, 0.3]
    assert [note["text"] for note in chart["layout"]["annotations"]] == ["warning 0.15", "drift 0.3"]
    bars = {bar["name"]: bar for bar in chart["data"]}
    assert bars["drift"]["y"] == ["amount"]
    assert bars["drift"]["x"] == [4 * 0.3]
    assert float(bars["drift"]["text"][0].removesuffix(" →")) > 4 * 0.3


def test_large_windows_are_cut_the_same_way_every_time_and_the_page_says_so(tmp_path: Path) -> None:
    reference, current = leads(12_345), leads(300, seed=1)

    first, second = (render(tmp_path, reference, current)[1] for _ in range(2))

    said = texts(first)
    assert "at most 5,000 evenly spaced rows per window" in said
    assert "5,000 of 12,345 reference rows and 300 of 300 current rows" in said
    assert "none is Evidently's" in said
    counts = of_type(first, "rich_data")[0]["params"]["metrics"][0]
    assert (counts["label"], [float(value) for value in counts["values"]]) == ("count", [300, 5_000])
    pictures = [[widget["params"]["metrics"] for widget in of_type(page, "rich_data")] for page in (first, second)]
    assert pictures[0] == pictures[1]


def test_a_column_without_values_is_in_our_table_and_left_out_of_the_picture(tmp_path: Path) -> None:
    reference, current = leads(1_000), leads(1_000, seed=1)
    reference = reference.assign(empty_then=np.nan, never=None)
    current = current.assign(amount=np.nan, empty_then=1.0, never=None)

    _, widgets = render(tmp_path, reference, current)

    assert {row[0] for row in of_type(widgets, "table")[0]["params"]["data"]} == set(reference)
    assert drawn_columns(widgets) == ["constant", "channel"]
    said = texts(widgets)
    assert "amount (no value in the current sample)" in said
    assert "empty_then (no value in the reference sample)" in said
    assert "never (no value in the reference and current sample)" in said


def test_an_empty_window_still_gives_a_page_with_our_part(tmp_path: Path) -> None:
    reference = leads(1_000)

    _, widgets = render(tmp_path, reference, reference.iloc[:0])

    table = of_type(widgets, "table")[0]["params"]["data"]
    assert [row[1:] for row in table] == [["INSUFFICIENT DATA", *["–"] * 7]] * 3
    assert not of_type(widgets, "big_graph")
    assert not drawn_columns(widgets)
    assert of_type(widgets, "counter")[0]["params"]["counters"][0] == {"value": "UNKNOWN", "label": "severity"}
    assert "says nothing about drift" in texts(widgets)


def test_a_column_missing_from_the_data_is_left_out_with_a_reason(tmp_path: Path) -> None:
    reference = leads(1_000)

    _, widgets = render(tmp_path, reference, reference.drop(columns="amount"))

    assert "amount is missing from the current data." in texts(widgets)
    assert "amount (no value in the current sample)" in texts(widgets)


def test_numbers_that_are_nan_are_shown_as_unknown(tmp_path: Path) -> None:
    reference = leads(1_000)
    drift = measured(reference, reference, numeric=["amount"], categorical=[])[0]

    drifts = [replace(drift, psi=float("nan"), ks_statistic=float("nan"), cramers_v=None)]
    _, widgets = render(tmp_path, reference, reference, drifts=drifts)

    row = of_type(widgets, "table")[0]["params"]["data"][0]
    assert [row[2], row[5], row[6]] == ["–", "–", "–"]


def test_no_feature_at_all_still_gives_a_page(tmp_path: Path) -> None:
    _, widgets = render(tmp_path, pd.DataFrame(), pd.DataFrame())
    assert of_type(widgets, "table")[0]["params"]["data"] == []


def test_what_evidently_cannot_draw_is_left_out_said_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The range of these numbers overflows, and Evidently's histogram fails on it."""
    reference = leads(1_000).assign(endless=np.arange(1_000.0))
    current = reference.assign(endless=np.where(np.arange(1_000) % 3, 1e308, -1e308))

    with caplog.at_level(logging.WARNING):
        _, widgets = render(tmp_path, reference, current)

    assert drawn_columns(widgets) == ["amount", "constant", "channel"]
    assert "endless (Evidently failed with ValueError: " in texts(widgets)
    assert "endless" in [row[0] for row in of_type(widgets, "table")[0]["params"]["data"]]
    assert [record.message for record in caplog.records if record.name.endswith("reports.drift_report")] == [
        "Evidently cannot draw endless; the report goes without."
    ]


def test_many_categories_are_pooled(tmp_path: Path) -> None:
    """Drawn one by one, 13 such columns gave 15 MB and took 20 seconds."""
    reference = pd.DataFrame({"code": [f"code {number}" for number in range(5_000)]})

    page, widgets = render(tmp_path, reference, reference)

    bars = of_type(widgets, "rich_data")[0]["params"]["graph"]["data"][0]
    assert len(bars["x"]) == DRAWN_CATEGORIES + 1
    assert "(other)" in bars["x"]
    assert len(page) < 4 * MEGABYTE


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='https://elsewhere.example'>click</a>",
    "<!--",
]


def test_text_from_the_data_does_not_become_markup(tmp_path: Path) -> None:
    clean = pd.DataFrame({"text": ["a", "b", "c", "d", "e"] * 100})
    expected, _ = render(tmp_path, clean, clean)
    hostile = pd.DataFrame({"text": HOSTILE * 100, "<b>[x](https://elsewhere.example)": HOSTILE * 100})

    page, widgets = render(tmp_path, hostile, hostile, title=HOSTILE[1])

    for opening in ("<script", "</script", "<img src=x", "<a href='https", "<!--", "<b>["):
        assert page.count(opening) == expected.count(opening), opening
    assert "<title>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;</title>" in page
    # The bars' labels as plotly gets them: it shows `&lt;` as `<`, and would read `<a ...>` as a link.
    labels = of_type(widgets, "rich_data")[0]["params"]["graph"]["data"][0]["x"]
    assert sorted(labels) == sorted(text.replace("<", "&lt;") for text in HOSTILE)
    assert of_type(widgets, "big_graph")[0]["params"]["data"][2]["y"][1].startswith("&lt;b&gt;[x]")
    # Markdown, too: neither a link nor a tag.
    assert r"\<b\>\[x\]\(https\:" in "".join(widget["params"]["text"] for widget in of_type(widgets, "text"))


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = leads(300)
    (tmp_path / "drift.html").write_text("the old report")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        render(tmp_path, reference, reference)
    assert [path.name for path in tmp_path.iterdir()] == ["drift.html"]
    assert (tmp_path / "drift.html").read_text() == "the old report"


def test_labelled_leads_bring_the_classification_preset_and_one_outcome_alone_does_not(tmp_path: Path) -> None:
    reference = leads(500)
    labelled = pd.DataFrame({"score": np.linspace(0.01, 0.99, 400), "label": np.arange(400) % 3 == 0})

    _, widgets = render(tmp_path, reference, reference, labelled=labelled)
    assert "ClassificationPreset: how 400 matured leads turned out" in texts(widgets)

    _, widgets = render(tmp_path, reference, reference, labelled=labelled.assign(label=1))
    assert "ClassificationPreset" not in texts(widgets)


FRESH_PROCESS = """
import os, socket, sys
from pathlib import Path
os.environ.pop("DO_NOT_TRACK", None)

def refuse(*_):
    raise AssertionError("the report opened a connection")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from lead_scoring_assets.monitoring.reports.drift_report import render_drift_report
heavy = {"evidently", "plotly", "sklearn"} & set(sys.modules)
assert not heavy, heavy
import numpy as np, pandas as pd
frame = pd.DataFrame({"x": np.arange(300.0), "c": ["a", "b", None] * 100})
render_drift_report(Path(sys.argv[1]), "Drift", [], frame, frame, ["x"], ["c"])
assert os.environ["DO_NOT_TRACK"]
"""


def test_a_fresh_process_imports_evidently_late_quietly_and_without_the_network(tmp_path: Path) -> None:
    """Warnings as errors, from Evidently's first import on: no release of it may break a run by a deprecation."""
    target = tmp_path / "drift.html"
    command = [sys.executable, "-W", "error", "-c", FRESH_PROCESS, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert target.stat().st_size < 6 * MEGABYTE
