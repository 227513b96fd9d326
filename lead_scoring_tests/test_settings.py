"""`lead_scoring.yaml`: the shipped file loads; every faulty one names the key, the value found and the remedy."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.settings import SETTINGS_FILE, Home, Settings, find_home, parse_settings

SHIPPED = Path(__file__).resolve().parents[1] / SETTINGS_FILE


def shipped() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    return loaded


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        parse_settings(text, "here/lead_scoring.yaml")
    told = str(refused.value)
    assert told.startswith("here/lead_scoring.yaml ")
    return told


def refusal_of(**changes: Any) -> str:
    """What is told when the shipped settings are changed at dotted keys; None removes the key."""
    settings = shipped()
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        at = settings
        for part in path:
            at = at[part]
        if value is None:
            del at[last]
        else:
            at[last] = value
    return refusal(yaml.safe_dump(settings, sort_keys=False))


def test_the_shipped_settings_load() -> None:
    settings = parse_settings(SHIPPED.read_text(encoding="utf-8"), SETTINGS_FILE)
    assert settings.periods.start == date(2008, 5, 1)
    assert settings.calendar.start == datetime(2008, 5, 1, tzinfo=UTC)
    assert settings.calendar.end == datetime(2011, 1, 1, tzinfo=UTC)
    assert settings.periods.history_until == "2010-05"
    assert "duration" not in settings.registry.features
    assert len(settings.registry.features) == 13
    assert settings.scoring.buckets == {"Hot": 0.8, "Warm": 0.5, "Cool": 0.3}


def test_a_short_file_is_enough() -> None:
    settings = parse_settings(
        "name: a\nperiods: {cadence: day, start: 2024-02-29, history_until: 2024-03-01}\n"
        "columns: {age: {kind: integer, role: feature, why: w}}",
        SETTINGS_FILE,
    )
    assert settings.calendar.period("2024-02-29").end == datetime(2024, 3, 1, tzinfo=UTC)
    assert settings.calendar.end is None
    assert settings.clock == "system"


# --- Faulty values: key, what is wrong with it, what was found, what to do.

FAULTS: list[tuple[str, Any, str, str, str]] = [
    # dotted key, value, key told, found told, expected or remedy told
    ("name", "Bank Deposits", "name:", "'Bank Deposits'", "pattern"),
    ("name", 7, "name:", "found 7", "valid string"),
    ("clock", "wall", "clock:", "'wall'", "'replay' or 'system'"),
    ("periods.cadence", "year", "periods.cadence:", "'year'", "'day', 'week' or 'month'"),
    ("periods.start", "May 2008", "periods.start:", "'May 2008'", "a day such as 2008-05-01"),
    ("periods.start", "2008-13-01", "periods.start:", "'2008-13-01'", "a day such as 2008-05-01"),
    ("periods.start", 20080501, "periods.start:", "20080501", "a day such as 2008-05-01"),
    ("periods.start", True, "periods.start:", "True", "a day such as 2008-05-01"),
    ("periods.start", date(2008, 5, 15), "periods:", "start 2008-05-15", "a day such as 2008-05-01"),
    ("periods.end", date(2010, 12, 31), "periods:", "end 2010-12-31", "a day such as 2010-12-01"),
    ("periods.end", date(2008, 5, 1), "periods:", "end 2008-05-01", "must be after start 2008-05-01"),
    ("periods.history_until", "2010-5", "periods:", "'2010-5'", "a month such as 2008-05"),
    ("periods.history_until", "2010-05-01", "periods:", "'2010-05-01'", "a month such as 2008-05"),
    (
        "periods.history_until",
        "2011-01",
        "periods:",
        "history_until 2011-01",
        "between start 2008-05-01 and end 2011-01-01",
    ),
    ("periods.history_until", "2008-04", "periods:", "history_until 2008-04", "between start 2008-05-01"),
    ("labels.conversion_window_days", 0, "labels.conversion_window_days:", "found 0", "greater than 0"),
    ("labels.conversion_window_days", 30.5, "labels.conversion_window_days:", "30.5", "valid integer"),
    ("labels.conversion_window_days", "thirty", "labels.conversion_window_days:", "'thirty'", "valid integer"),
    ("training.rounds", True, "training.rounds:", "True", "valid integer"),
    ("training.seed", -1, "training.seed:", "-1", "greater than or equal to 0"),
    ("training.window_months", -6, "training.window_months:", "-6", "greater than 0"),
    ("gate.traceable", "yes", "gate.traceable:", "'yes'", "'required' or 'recorded'"),
    ("evaluation.fairness", {"agee": {}}, "(the whole file):", "'agee', which columns does not hold", "name a column"),
    ("evaluation.fairness", {"duration": {}}, "(the whole file):", "'duration', which has role", "name a column"),
    ("evaluation.fairness", {"job": {"bands": [1]}}, "(the whole file):", "fairness.job.bands", "only numbers"),
    ("evaluation.fairness.age.bands", [50, 30], "evaluation.fairness.age:", "[50.0, 30.0]", "bands must rise"),
    ("evaluation.fairness.age", {"band": [30]}, "evaluation.fairness.age.band:", "[30]", "no such setting"),
    ("gate.minimum_auc", 55, "gate.minimum_auc:", "55", "less than or equal to 1"),
    ("gate.minimum_auc", "0.55", "gate.minimum_auc:", "'0.55'", "valid number"),
    ("gate.minimum_auc", float("nan"), "gate.minimum_auc:", "nan", "finite number"),
    ("gate.maximum_brier", False, "gate.maximum_brier:", "False", "valid number"),
    ("gate.refresh_margin", -0.1, "gate.refresh_margin:", "-0.1", "greater than or equal to 0"),
    ("drift.psi_warning", float("inf"), "drift.psi_warning:", "inf", "finite number"),
    ("drift.psi_warning", 0.3, "drift:", "psi_warning 0.3", "must not be above psi_drift 0.25"),
    ("drift.false_discovery_rate", 0.0, "drift.false_discovery_rate:", "0.0", "greater than 0"),
    ("performance.maximum_relative_auc_drop", 1.0, "performance.maximum_relative_auc_drop:", "1.0", "less than 1"),
    ("scoring.buckets", {"Hot": 0.5, "Warm": 0.8}, "scoring:", "{'Hot': 0.5, 'Warm': 0.8}", "falling limits"),
    ("scoring.buckets", {"Hot": 0.5, "Warm": 0.5}, "scoring:", "{'Hot': 0.5, 'Warm': 0.5}", "falling limits"),
    ("scoring.buckets", {"Hot": 80}, "scoring.buckets.Hot:", "found 80", "less than or equal to 1"),
    ("scoring.buckets", {}, "scoring:", "found {}", "falling limits"),
    ("bank.simulated_delay.sigma", 0, "bank.simulated_delay.sigma:", "found 0", "greater than 0"),
    ("retraining.new_labels", [1500], "retraining.new_labels:", "[1500]", "valid integer"),
    ("retraining", 5, "retraining:", "found 5", "valid dictionary"),
    ("retraining.causes", ["drift", "mood"], "retraining.causes.1:", "'mood'", "'drift', 'concept_drift'"),
    ("retraining.causes", ["drift", "drift"], "retraining:", "['drift', 'drift']", "causes must be distinct"),
    ("retraining.urgent_causes", ["by_hand"], "retraining.urgent_causes.0:", "'by_hand'", "'drift', 'concept_drift'"),
    ("retraining.cooldown_days", -1, "retraining.cooldown_days:", "-1", "greater than or equal to 0"),
    ("gate.approval", "canary", "gate.approval:", "'canary'", "'automatic', 'manual' or 'rollout'"),
    ("rollout.steps_percent", [5, 50], "rollout:", "[5, 50]", "must rise and end with 100"),
    ("rollout.steps_percent", [50, 5, 100, 100], "rollout:", "[50, 5, 100, 100]", "must rise and end with 100"),
    ("rollout.steps_percent", [], "rollout:", "found []", "must rise and end with 100"),
    ("rollout.dwell_days", [1, 1], "rollout:", "found [1, 1]", "one number for each share below 100, that is 3"),
    ("rollout.approval_before_percent", [20], "rollout:", "names [20]", "which steps_percent does not hold"),
    ("rollout.maximum_latency_ratio", 0.5, "rollout.maximum_latency_ratio:", "0.5", "greater than 1"),
    ("retraining.backoff_days_at_most", 13, "retraining:", "13", "must not be below backoff_days 14"),
    ("columns", ["age"], "columns:", "['age']", "valid dictionary"),
    ("columns.age.kind", "whole", "columns.age.kind:", "'whole'", "'integer', 'number', 'category'"),
    ("columns.age.role", "Feature", "columns.age.role:", "'Feature'", "'feature'"),
    ("columns.age.why", "", "columns.age.why:", "found ''", "at least 1 character"),
    ("columns.age.minimum", 200, "columns.age:", "minimum 200", "is above maximum 110"),
    ("columns.age.maximum", float("nan"), "columns.age.maximum:", "nan", "finite number"),
    ("columns.age.categories", ["young"], "columns.age:", "kind integer", "belong to category columns"),
    ("columns.job.categories", [], "columns.job:", "category feature", "needs its list of `categories`"),
    ("columns.job.categories", ["a", "a "], "columns.job:", "['a', 'a ']", "without outer blanks"),
    ("columns.job.categories", ["a", "b", "a"], "columns.job:", "['a', 'b', 'a']", "distinct"),
    ("columns.job.minimum", 1, "columns.job:", "minimum and maximum", "belong to integer and number columns only"),
    ("columns.default.categories", [False, True], "columns.default.categories.0:", "found False", "Put it in quotes"),
    (
        "columns.job.kind",
        "text",
        "columns.job:",
        "a text column cannot be a feature",
        "use integer, number or category",
    ),
    ("columns.duration.role", "feature", "columns.duration:", "after_outcome", "set `role: forbidden`"),
    ("columns.age.available", "after_outcome", "columns.age:", "after_outcome", "set `role: forbidden`"),
]


@pytest.mark.parametrize(
    ("key", "value", "told_key", "found", "remedy"), FAULTS, ids=[f"{f[0]}={f[1]}" for f in FAULTS]
)
def test_a_faulty_value_is_named_with_its_remedy(key: str, value: Any, told_key: str, found: str, remedy: str) -> None:
    told = refusal_of(**{key: value})
    lines = [line for line in told.splitlines() if line.startswith(f"  {told_key} ")]
    assert len(lines) == 1, told
    assert found in lines[0]
    assert remedy in lines[0]


@pytest.mark.parametrize(
    "key", ["name", "periods", "columns", "periods.start", "columns.age.kind", "columns.age.role", "columns.age.why"]
)
def test_a_missing_key_is_named(key: str) -> None:
    assert f"  {key}: is required and missing. Add it" in refusal_of(**{key: None})


@pytest.mark.parametrize(
    "key", ["clok", "periods.cadance", "columns.age.minimun", "drift.psi", "bank.simulated_delay.mean"]
)
def test_an_unknown_key_is_named_with_what_it_holds(key: str) -> None:
    assert f"  {key}: no such setting (found 'month'). Remove it, or check the spelling." in refusal_of(
        **{key: "month"}
    )


def test_every_fault_is_told_at_once() -> None:
    told = refusal_of(**{"clock": "wall", "gate.minimum_auc": 2, "periods.cadance": "day", "training.rounds": 0})
    assert {line.split(":")[0].strip() for line in told.splitlines()[1:]} == {
        "clock", "gate.minimum_auc", "periods.cadance", "training.rounds",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["lead_id", "created_at", "known_at", "period", "source_file", "source_line", "Period"]
)
def test_the_systems_own_column_names_are_refused(name: str) -> None:
    told = refusal_of(**{f"columns.{name}": {"kind": "text", "role": "context", "why": "w"}})
    assert f"columns ['{name}'] are the system's own names; rename them in the export" in told


def test_names_that_sql_cannot_tell_apart_are_refused() -> None:
    column = {"kind": "text", "role": "context", "why": "w"}
    assert "columns ['AGE', 'age'] differ in upper and lower case only" in refusal_of(**{"columns.AGE": column})
    assert "columns [' note'] are empty or begin or end with a blank" in refusal_of(**{"columns. note": column})
    assert "columns [''] are empty" in refusal_of(**{"columns.": column})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sources": {"time_zone": "Dubai"}}, "time_zone 'Dubai' is unknown; write it like Asia/Dubai"),
        ({"sources": {"leads": {"delimiter": '"'}}}, "cannot stand between cells"),
        ({"sources": {"leads": {"delimiter": ";;"}}}, "at most 1 character"),
        ({"sources": {"leads": {"rename": {"A": "age", "B": "age"}}}}, "rename gives ['age'] more than once"),
        ({"sources": {"leads": {"encoding": "latin"}}}, "'utf-8', 'utf-16', 'cp1252' or 'cp1256'"),
        ({"activities": {"types": ["visit", "visit"]}}, "types must be distinct names"),
        ({"features": {"n": {"measure": "count", "days": 7, "why": "w"}}}, "activities.types names none"),
        ({"compute": {"engine": "flink"}}, "'duckdb' or 'spark'"),
        ({"compute": {"spark_remote": "http://x"}}, "should match pattern '^sc://"),
        ({"currency": "dirham"}, "should match pattern '^[A-Z]{3}$'"),
        ({"crm": "salesforce"}, "'bank', 'simulated' or 'own'"),
    ],
)
def test_faulty_settings_of_the_data_plane_are_named(change: dict[str, Any], told: str) -> None:
    assert told in refusal(yaml.safe_dump({**shipped(), **change}, sort_keys=False))


@pytest.mark.parametrize(
    ("feature", "told"),
    [
        ({"measure": "count", "of": ["call"], "days": 7}, "counts ['call'], which activities.types does not name"),
        ({"measure": "count", "days": 0}, "greater than or equal to 1"),
        ({"measure": "count"}, "features.n.days: is required and missing"),
        ({"measure": "median", "days": 7}, "'count', 'distinct', 'sum', 'points'"),
        ({"measure": "distinct", "days": 7}, "belongs to the measure distinct, which needs it"),
        ({"measure": "points", "days": 7}, "belong to the measure points, which needs them"),
        ({"measure": "points", "points": {"visit": 0}, "days": 7}, "points must be above 0"),
    ],
)
def test_a_faulty_computed_feature_is_named(feature: dict[str, Any], told: str) -> None:
    change = {"activities": {"types": ["visit"]}, "features": {"n": {**feature, "why": "w"}}}
    assert told in refusal(yaml.safe_dump({**shipped(), **change}, sort_keys=False))


def test_a_computed_feature_may_not_share_its_name_with_a_column() -> None:
    feature = {"measure": "count", "days": 7, "why": "w"}
    change = {"activities": {"types": ["visit"]}, "features": {"AGE": feature, "n": feature, "N": feature}}
    assert "features ['AGE', 'N', 'n'] share their name" in refusal(
        yaml.safe_dump({**shipped(), **change}, sort_keys=False)
    )


def test_columns_need_a_feature() -> None:
    told = refusal_of(columns={"note": {"kind": "text", "role": "context", "why": "w"}})
    assert "columns hold no feature: give at least one column `role: feature`" in told


# --- Files that are no settings at all


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\tname: x", "name: 'x", "name: \x00", "*nobody", "{a: 1, a: 2"])
def test_what_is_not_yaml_is_named_with_its_line(text: str) -> None:
    assert refusal(text).startswith("here/lead_scoring.yaml is not valid YAML: ")
    assert refusal(text).endswith("Mend the line it names.")


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "NoneType"), ("# only a comment", "NoneType"), ("- a", "list"), ("7", "int"), ("name", "str")],
)
def test_what_holds_no_keys_is_named(text: str, found: str) -> None:
    assert f"must hold keys and values, found {found}" in refusal(text)


@pytest.mark.parametrize("key", ["name", "periods", "age"])
def test_a_key_given_twice_is_named_with_its_line(key: str) -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.strip().startswith(f"{key}:"))
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    again = f"{indent}{key}: {{kind: integer, role: context, why: again}}"
    after = at + 1 if key != "periods" else len(lines)
    told = refusal("\n".join([*lines[:after], again, *lines[after:]]))
    assert f"key '{key}' is given twice" in told
    assert f"line {after + 1}," in told


def test_a_key_that_is_no_text_is_named() -> None:
    assert "  1: " in refusal(SHIPPED.read_text(encoding="utf-8") + "\n1: 2\n")


# --- The home folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / SETTINGS_FILE).write_bytes(SHIPPED.read_bytes())
    return Home(tmp_path)


def test_a_home_without_settings_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"no lead_scoring\.yaml in {tmp_path}.*LEAD_SCORING_HOME"):
        _ = Home(tmp_path).settings


def test_settings_that_are_not_utf8_are_named(home: Home) -> None:
    (home.root / SETTINGS_FILE).write_bytes("name: größe\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"lead_scoring\.yaml is not UTF-8 text .*Save it as UTF-8"):
        _ = home.settings


def test_everything_that_is_written_lies_under_data(home: Home) -> None:
    written = [home.landing, home.lakehouse, home.reports, home.downloads, home.mlflow, home.clock_file]
    assert {path.parent for path in written} == {home.root / "data"}
    assert isinstance(home.settings, Settings)


def test_the_environment_names_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEAD_SCORING_HOME", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_home().root == tmp_path.resolve()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    assert find_home().root == (tmp_path / "dagster").resolve()
    monkeypatch.setenv("LEAD_SCORING_HOME", str(tmp_path / "ours"))
    assert find_home().root == (tmp_path / "ours").resolve()


def test_the_environments_mirror_goes_before_the_files(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEAD_SCORING_MIRROR", raising=False)
    assert home.mirror is None
    named = yaml.safe_load((home.root / SETTINGS_FILE).read_text(encoding="utf-8"))
    named["bank"]["mirror"] = "copies"
    (home.root / SETTINGS_FILE).write_text(yaml.safe_dump(named, sort_keys=False), encoding="utf-8")
    other = Home(home.root)
    assert other.mirror == home.root / "copies"
    monkeypatch.setenv("LEAD_SCORING_MIRROR", "/elsewhere")
    assert other.mirror == Path("/elsewhere")
