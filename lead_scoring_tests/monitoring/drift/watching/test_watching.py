"""Periods watched in a home of tables: a real small model, planted changes, things that are gone, the same again."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.io_manager import LakehouseIOManager
from lead_scoring_assets.models.bundle import MANIFEST, save_bundle
from lead_scoring_assets.models.calibration import identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import default_recipe
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.monitoring.drift.watching import quality
from lead_scoring_assets.monitoring.drift.watching.assets import data_health, watching
from lead_scoring_assets.monitoring.drift.watching.measuring import Watch, WatchedPeriod, health_of
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import SETTINGS_FILE, Home

ROOT = Path(__file__).resolve().parents[4]
TRAINED, BEFORE, WATCHED = "2008-07", "2008-07", "2008-08"
SCORED = datetime(2008, 8, 10, tzinfo=UTC)
MATURED = datetime(2008, 7, 15, tzinfo=UTC)
KNOWN = datetime(2008, 8, 20, tzinfo=UTC)
N = 3_000


class World:
    """A champion trained in July, its holdout, leads that matured in August, and leads that came and were scored in it."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        shipped = yaml.safe_load((ROOT / SETTINGS_FILE).read_text(encoding="utf-8"))
        settings = {name: shipped[name] for name in ("name", "clock", "periods", "drift", "watching", "performance")}
        settings["columns"] = {name: shipped["columns"][name] for name in ("age", "contact")}
        self.root, self.settings = root, settings
        self.set()
        self.rng = np.random.default_rng(11)
        train = self.leads(6_000)
        encoder = Encoder.from_registry(self.house.settings.registry)
        recipe = default_recipe("logistic", self.house.settings.training)
        folder = self.house.home.data / "m-1"
        learner = fit_model(train.assign(split="train"), encoder, recipe)
        fingerprint = save_bundle(folder, learner, recipe, identity(), encoder, train)
        self.scorer = Scorer(learner, encoder, recipe, identity())
        self.champion = Deployment(1, self.period(TRAINED).end, TRAINED, "m-1", fingerprint, "gate", "not worse")
        self.writes("training_set", TRAINED, self.leads(N).assign(split="holdout"))
        self.matures(self.leads(N))
        self.arrives(self.leads(N, SCORED))

    @property
    def house(self) -> Installation:
        return Installation(Home(self.root))

    def set(self, **watching: Any) -> None:
        told = {**self.settings, "watching": {**self.settings["watching"], **watching}}
        (self.root / SETTINGS_FILE).write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")

    def period(self, key: str) -> Any:
        return self.house.settings.calendar.period(key)

    def leads(self, n: int, created_at: datetime = MATURED, *, age_effect: float = 0.08) -> pd.DataFrame:
        age = self.rng.normal(45, 10, n).round().clip(15, 110)
        contact = self.rng.choice(["cellular", "telephone", "unknown"], n)
        odds = -1.5 + age_effect * (age - 45) + np.where(contact == "cellular", 0.5, 0)
        return pd.DataFrame(
            {
                "lead_id": [f"{created_at:%m%d}-{i:05}-{self.rng.integers(10**9)}" for i in range(n)],
                "created_at": created_at,
                "known_at": created_at,
                "age": age,
                "contact": contact,
                "label": (self.rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int8),
            }
        )

    def writes(self, table: str, period: str, frame: pd.DataFrame) -> None:
        rows = pa.Table.from_pandas(frame.assign(period=period), preserve_index=False)
        self.house.lakehouse.replace_periods(table, [period], rows)

    def matures(self, frame: pd.DataFrame, known_at: datetime = KNOWN) -> None:
        self.writes("lead_features", BEFORE, frame.drop(columns="label"))
        labels = frame[["lead_id", "label"]].assign(label_known_at=known_at)
        self.writes("ground_truth_labels", WATCHED, labels)

    def arrives(self, frame: pd.DataFrame, probability: Any = None) -> None:
        self.writes("lead_features", WATCHED, frame.drop(columns="label"))
        scores = self.scorer.probabilities(frame) if probability is None else probability
        self.writes("lead_scores", WATCHED, frame[["lead_id"]].assign(model_version=1, probability=scores))

    def goes_live(self) -> "World":
        Deployments(self.house.lakehouse).record(self.champion)
        return self

    def watch(self) -> WatchedPeriod:
        return Watch(self.house).watch(self.period(WATCHED))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("watching") / "a home").goes_live()


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    """A copy that a test may change."""
    copied = object.__new__(World)
    copied.__dict__ |= {**made.__dict__, "root": tmp_path / "a home", "rng": np.random.default_rng(12)}
    shutil.copytree(made.root, copied.root)
    return copied


def statuses(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["feature"]: row["status"] for row in rows}


def reasons(rows: list[dict[str, Any]]) -> str:
    return " ".join({row["reason"] for row in rows})


QUESTIONS = ["rate", "score", "age", "contact"]


def test_nothing_has_changed(made: World) -> None:
    found = made.watch()
    assert statuses(found.prediction) == {"probability": "ok"}
    assert statuses(found.calibration) == {"level": "ok", "slope": "ok"}
    assert statuses(found.concept) == dict.fromkeys(QUESTIONS, "ok")
    for row in found.prediction + found.calibration + found.concept:
        assert (row["period"], row["as_of"], row["model_version"]) == (WATCHED, made.period(WATCHED).end, 1)
        assert row["reference_period"] == TRAINED
        assert row["n_current"] == N


def test_outcomes_that_follow_otherwise(world: World) -> None:
    world.matures(world.leads(N, age_effect=-0.08))
    found = world.watch()
    assert statuses(found.prediction) == {"probability": "ok"}
    assert statuses(found.concept)["age"] == "drift"
    assert statuses(found.calibration)["slope"] == "drift"


def test_other_leads_of_the_same_kind_of_outcome(world: World) -> None:
    later = world.leads(N, SCORED)
    world.arrives(later.assign(age=later["age"] + 15))
    found = world.watch()
    assert statuses(found.prediction) == {"probability": "drift"}
    assert statuses(found.concept) == dict.fromkeys(QUESTIONS, "ok")


def test_one_score_for_everyone(world: World) -> None:
    world.arrives(world.leads(12, SCORED), np.ones(12))
    [row] = world.watch().prediction
    assert (row["status"], row["severity"]) == ("drift", "CRITICAL")


def test_what_lasts_is_told_by_its_beginning_and_what_is_new_by_its_numbers(world: World) -> None:
    """Five months of one model and the first of another: a calm month, or another model, begins a new story."""
    told = {
        "2008-08": {"age": "drift", "rate": "warning"},
        "2008-09": {"age": "ok", "rate": "drift"},
        "2008-10": {"age": "drift", "rate": "drift"},
        "2008-11": {"age": "drift", "rate": "drift"},
    }
    told["2008-12"] = told["2008-11"]
    for month, of_month in told.items():
        rows = [
            {"feature": feature, "status": status, "severity": "LOW" if status == "ok" else "HIGH"}
            for feature, status in of_month.items()
        ]
        version = 2 if month == "2008-12" else 1
        frame = pd.DataFrame(rows).assign(reason=f"numbers of {month}", model_version=version)
        world.writes("concept_drift", month, frame)
    found = {month: quality.outcomes_follow_scores(world.house, world.period(month)) for month in told}
    assert {month: finding.numbers["new"] for month, finding in found.items()} == dict(
        zip(found, [2, 0, 1, 0, 2], strict=True)
    )
    assert not any(finding.passed for finding in found.values())
    assert found["2008-09"].sentence == "rate still drift since 2008-08"
    assert found["2008-10"].sentence == "age drift: numbers of 2008-10; rate still drift since 2008-08"
    assert found["2008-11"].sentence == "age still drift since 2008-10; rate still drift since 2008-08"


def test_scores_for_other_reasons(world: World) -> None:
    """Everybody is 45, which drives no score any more: what is left is the contact. The other questions are not asked."""
    calm = world.watch().importance[0]
    assert (calm["status"], calm["n_reference"], calm["n_current"]) == ("ok", 1_000, 1_000)
    world.arrives(world.leads(N, SCORED).assign(age=45.0))
    [found] = world.watch().importance
    assert (found["status"], found["severity"]) == ("drift", "HIGH")
    assert found["low"] > 0.10
    assert "age" in found["reason"]
    world.arrives(world.leads(150, SCORED))
    assert world.watch().importance[0]["status"] == "insufficient_data"


def test_labels_that_become_known_later_do_not_count_yet(world: World) -> None:
    world.matures(world.leads(N, age_effect=-0.08), known_at=world.period(WATCHED).end + timedelta(seconds=1))
    found = world.watch()
    assert set(statuses(found.concept + found.calibration).values()) == {"insufficient_data"}
    assert "label coverage 0%" in reasons(found.calibration)


def damaged(world: World) -> None:
    (world.house.home.data / "m-1" / MANIFEST).write_bytes(b"{}")


def without_holdout(world: World) -> None:
    world.writes("training_set", TRAINED, world.leads(5).assign(split="train"))


def without_labels(world: World) -> None:
    shutil.rmtree(world.house.lakehouse.path("ground_truth_labels"))


def without_a_column(world: World) -> None:
    shutil.rmtree(world.house.lakehouse.path("lead_features"))
    world.writes("lead_features", BEFORE, world.leads(50).drop(columns=["label", "age"]))


@pytest.mark.parametrize(
    ("breaks", "told", "scores_known"),
    [
        (damaged, "m-1", False),
        (without_holdout, "holdout", False),
        (without_labels, "ground_truth_labels", True),
        (without_a_column, "age", True),
    ],
)
def test_what_is_gone_is_told_in_every_row(
    world: World, breaks: Callable[[World], None], told: str, scores_known: bool
) -> None:
    breaks(world)
    found = world.watch()
    assert set(statuses(found.concept + found.calibration).values()) == {"not_computable"}
    assert told in reasons(found.concept)
    assert statuses(found.prediction)["probability"] == ("ok" if scores_known else "not_computable")
    assert not any(row["would_alarm"] for row in found.policies)
    unknown = [*found.concept, *found.calibration, *([] if scores_known else found.prediction)]
    assert {row["severity"] for row in unknown} == {"UNKNOWN"}


def test_what_is_gone_is_no_pass_and_what_nobody_can_know_yet_is_no_failure(world: World) -> None:
    """A check that people see turns red when what it compares with is gone; not before there is a model, nor for few leads."""

    def check(table: str, month: str, status: str) -> Finding:
        rows = [{"feature": name, "status": status, "severity": "UNKNOWN", "reason": "why"} for name in ("age", "rate")]
        world.writes(table, month, pd.DataFrame(rows).assign(model_version=1))
        judge = quality.outcomes_follow_scores if table == "concept_drift" else quality.scores_as_on_the_holdout
        return judge(world.house, world.period(month))

    for table in ("concept_drift", "prediction_drift"):
        gone, few, early = (
            check(table, month, status)
            for month, status in (
                (WATCHED, "not_computable"),
                ("2008-09", "insufficient_data"),
                ("2008-06", "not_computable"),
            )
        )
        assert (gone.passed, few.passed, early.passed) == (False, True, True)
        assert {gone.sentence, few.sentence, early.sentence} == {"2 of 2 could not be judged (why)"}


def test_constant_scores_are_seen_although_the_holdout_is_gone(world: World) -> None:
    without_holdout(world)
    world.arrives(world.leads(12, SCORED), np.ones(12))
    assert world.watch().prediction[0]["severity"] == "CRITICAL"


def test_before_the_first_champion_every_question_has_its_row(made: World) -> None:
    empty = Watch(made.house).watch(made.period("2008-06"))
    assert {row["status"] for row in empty.concept + empty.calibration + empty.prediction} == {"not_computable"}
    assert {row["model_version"] for row in empty.concept} == {None}
    assert sorted(statuses(empty.concept)) == sorted(QUESTIONS)


def test_nobody_came(made: World) -> None:
    """September: nothing in any table of its own, and the leads that matured in it are those of August."""
    found = Watch(made.house).watch(made.period("2008-09"))
    assert statuses(found.prediction) == {"probability": "insufficient_data"}
    assert set(statuses(found.concept).values()) == {"insufficient_data"}


def test_the_policy_that_acts_decides_and_the_others_are_shown(world: World) -> None:
    later = world.leads(N, SCORED)
    world.arrives(later, world.scorer.probabilities(later) * 0.88)
    calm = world.watch()
    assert calm.prediction[0]["status"] in ("ok", "warning")
    alarmed = {row["policy"] for row in calm.policies if row["would_alarm"] and row["scope"] == "scores"}
    assert alarmed == {"doc_003"}
    assert [row["policy"] for row in calm.policies if row["acts"]] == ["recommended", "recommended"]
    world.set(policy="doc_003")
    found = world.watch()
    assert found.prediction[0]["status"] == "drift"
    assert found.prediction[0]["calibrated_status"] == calm.prediction[0]["status"]
    told = [{**row, "acts": None} for row in found.policies]
    assert told == [{**row, "acts": None} for row in calm.policies]


def land(world: World, period: str, n: int, *, rejected: int = 0, without_age: int = 0, late: int = 0) -> None:
    start = world.period(period).start
    frame = world.leads(n, start + timedelta(days=3))
    frame.loc[: late - 1, "created_at"] = start - timedelta(days=3)
    world.writes("raw_leads", period, frame[["lead_id", "created_at"]].assign(version=1))
    frame.loc[: without_age - 1, "age"] = np.nan
    world.writes("lead_features", period, frame.drop(columns="label"))
    files = {"entity": "leads", "rows_in": n + rejected, "rejected": rejected, "duplicates": 0}
    world.writes("arrived_files", period, pd.DataFrame([files]))


def test_faults_of_what_arrived(world: World) -> None:
    for month in ("05", "06", "07", "08", "09"):
        land(world, f"2008-{month}", 1_000)
    land(world, "2008-10", 1_000, rejected=300, without_age=80, late=300)
    calm = health_of(world.house, world.period("2008-09"))
    assert {row["status"] for row in calm} == {"ok"}
    found = {(row["measure"], row["subject"]): row for row in health_of(world.house, world.period("2008-10"))}
    assert {place: row["status"] for place, row in found.items() if row["status"] != "ok"} == {
        ("rejected", "leads"): "critical",
        ("missing", "age"): "warning",
        ("late", "raw_leads"): "critical",
    }
    assert found["missing", "age"]["change_pp"] == pytest.approx(8)
    nobody = health_of(world.house, world.period("2008-11"))
    assert (nobody[-1]["status"], nobody[-1]["severity"]) == ("nothing_arrived", "CRITICAL")


def test_periods_before_the_first_lead_are_no_history(world: World) -> None:
    land(world, "2008-10", 1_000)
    volume = health_of(world.house, world.period("2008-10"))[-1]
    assert (volume["status"], volume["n_before"]) == ("insufficient_data", 0)


def test_a_busy_month_is_expected_where_it_was_one_a_year_ago(world: World) -> None:
    world.set(history_periods=5)
    for year, grown in ((2008, 1), (2009, 2)):
        for month, leads in (("05", 100), ("06", 120), ("07", 90), ("08", 110), ("09", 100), ("10", 500)):
            land(world, f"{year}-{month}", grown * leads)
    volume = health_of(world.house, world.period("2009-10"))[-1]
    assert (volume["value"], volume["expected"], volume["status"]) == (1_000, 1_000, "ok")
    assert "from 500 a year ago and 2.00 times as many" in volume["reason"]
    unknown = health_of(world.house, world.period("2008-10"))[-1]
    assert (unknown["status"], unknown["expected"]) == ("warning", pytest.approx(31 * 520 / 153))


def test_materialised_twice_the_tables_are_the_same_and_the_checks_read_them(world: World) -> None:
    for month in ("05", "06"):
        land(world, f"2008-{month}", 1_000)
    world.writes("raw_leads", BEFORE, world.leads(10)[["lead_id", "created_at"]].assign(version=1))
    world.matures(world.leads(N, age_effect=-0.08))
    tables = (
        "prediction_drift",
        "calibration_drift",
        "concept_drift",
        "importance_drift",
        "drift_policies",
        "data_health",
    )
    installation = InstallationResource(root=str(world.root))
    hashes = []
    for _ in range(2):
        done = dg.materialize(
            [watching, data_health],
            resources={"installation": installation, "io_manager": LakehouseIOManager(installation=installation)},
            instance=dg.DagsterInstance.ephemeral(),
            tags={"dagster/asset_partition_range_start": BEFORE, "dagster/asset_partition_range_end": WATCHED},
        )
        assert done.success
        hashes.append([content_hash(world.house.lakehouse.scan(table, periods=[WATCHED])) for table in tables])
    assert hashes[0] == hashes[1]
    period = world.period(WATCHED)
    assert quality.health_complete(world.house, period).passed
    assert quality.scores_as_on_the_holdout(world.house, period).passed
    assert quality.scored_for_the_same_reasons(world.house, period).passed
    changed = quality.outcomes_follow_scores(world.house, period)
    assert not changed.passed
    assert "age drift" in changed.sentence
    assert not quality.promise_kept(world.house, period).passed
    assert quality.arrivals_as_usual(world.house, period).sentence
    assert quality.everything_watched(world.house, period).passed
    world.writes("calibration_drift", WATCHED, pd.DataFrame({"feature": ["level"]}))
    assert "calibration_drift" in quality.everything_watched(world.house, period).sentence
