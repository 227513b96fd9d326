"""The product as a person meets it: the whole history on real data, and what is asked of it."""

import re
import socket
from pathlib import Path

import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.monitoring.business.benefit import describe, measure_benefit
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import RunVerb

pytestmark = pytest.mark.slow(minutes=10)

REPOSITORY = Path(__file__).resolve().parents[2]
LAST = "2010-05"


@pytest.fixture(scope="module")
def history(whole_history: tuple[Path, ...]) -> Path:
    """All months through 2010-05, as they lie."""
    return whole_history[1]


@pytest.fixture
def installation(history: Path) -> Installation:
    return Installation(Home(history))


def hashes(home: Path, period: str) -> dict[str, str]:
    lakehouse = Installation(Home(home)).lakehouse
    evidence = ("alert_deliveries", "deployments", "drift_reference", "events")  # only added to, whatever the period
    tables = [name for name in lakehouse.names() if name not in evidence]
    return {name: content_hash(lakehouse.read(name, periods=[period])) for name in tables}


def test_every_row_of_the_source_is_accounted_for(installation: Installation) -> None:
    files = installation.lakehouse.read("arrived_files").to_pandas()
    leads = files[files["entity"] == "leads"]
    # Leads of the bank file that were known by the end of 2010-05; every one is clean.
    assert leads["accepted"].sum() == leads["rows_in"].sum() == installation.lakehouse.read("raw_leads").num_rows
    assert leads["rows_in"].sum() == 43_839 - 1
    assert files["rejected"].sum() == files["duplicates"].sum() == 0


def test_nobody_is_scored_by_a_model_that_did_not_exist_yet(installation: Installation) -> None:
    scores = installation.lakehouse.read("lead_scores").to_pandas()
    deployments = {d.version: d for d in Deployments(installation.lakehouse).history()}
    live_since = scores["model_version"].map(lambda version: deployments[version].effective_at)
    assert len(scores) > 10_000
    assert (scores["scored_at"] > live_since).all()


def test_every_decision_has_its_reason_and_the_alias_follows(installation: Installation) -> None:
    decisions = installation.lakehouse.read("promotion_decision").to_pandas()
    assert len(decisions) == 25
    assert decisions["reason"].str.contains(r"\d").all()
    assert set(decisions["verdict"]) == {"promoted", "rejected", "no_candidate"}
    champion = Deployments(installation.lakehouse).newest()
    assert champion is not None
    assert ModelRegistry(installation.home).production_version() == champion.version


def test_the_models_that_were_trained_are_finished_in_mlflow(installation: Installation) -> None:
    registry = ModelRegistry(installation.home)
    experiment = registry.client.get_experiment_by_name(registry.name)
    assert experiment is not None
    runs = registry.client.search_runs([experiment.experiment_id], max_results=500)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all("dagster_run_id" in run.data.tags for run in runs)


def test_the_alias_loads_through_mlflow_and_gives_the_batch_scores(installation: Installation) -> None:
    import mlflow

    registry = ModelRegistry(installation.home)
    mlflow.set_tracking_uri(registry.tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/{registry.name}@production")
    champion = Deployments(installation.lakehouse).newest()
    scores = installation.lakehouse.read("lead_scores").to_pandas()
    scored = scores[scores["model_version"] == champion.version].set_index("lead_id")  # type: ignore[union-attr]
    months = sorted(scored["period"].unique())
    features = installation.lakehouse.read("lead_features", periods=months).to_pandas().set_index("lead_id")
    columns = model.metadata.get_input_schema().input_names()
    found = model.predict(features.loc[scored.index, columns])
    assert len(found) > 100
    assert (found == scored["probability"].to_numpy()).all()


def test_the_readme_quotes_what_the_code_gives(installation: Installation) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    told = describe(measure_benefit(installation))
    for line in told.splitlines():
        assert line in readme, f"README.md must quote `lead-scoring results`; it gives now:\n{told}"


def test_the_readme_quotes_what_the_backtest_gives(history: Path, run_verb: RunVerb) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    told = run_verb(history, "backtest").stdout
    assert "minus frozen" in told
    assert told.strip() in readme, f"README.md must quote `lead-scoring backtest`; it gives now:\n{told}"


def test_a_second_time_there_is_nothing_to_do(history: Path, run_verb: RunVerb) -> None:
    assert "every period is complete already" in run_verb(history, "materialize").stderr


def test_a_month_done_again_alone_has_the_same_content(history: Path, run_verb: RunVerb) -> None:
    """In history it was one of several months of one run; alone, later, it must come out the same, row for row."""
    before = {period: hashes(history, period) for period in ("2009-10", LAST)}
    deployed = Deployments(Installation(Home(history)).lakehouse).history()
    run_verb(history, "materialize", "--from", "2009-10", "--through", "2009-10", "--again")
    assert {period: hashes(history, period) for period in ("2009-10", LAST)} == before
    assert Deployments(Installation(Home(history)).lakehouse).history() == deployed


def test_people_find_what_they_look_for(history: Path, run_verb: RunVerb) -> None:
    status = run_verb(history, "status").stdout
    assert re.search(r"champion\s+v\d+, trained 20", status)
    assert "0 of 1,500 new labels" in status
    rows = run_verb(history, "worklist", "--top", "3", "--format", "csv").stdout.splitlines()
    assert rows[0].startswith("period,priority,lead_id,probability,bucket,model_version")
    # Best first; whose outcome is known by now need not be called.
    priorities = [int(row.split(",")[1]) for row in rows[1:]]
    assert len(priorities) == 3
    assert priorities == sorted(priorities)
    assert "random order reaches 20%" in run_verb(history, "results").stdout


def test_a_port_that_is_taken_is_named_with_the_remedy(history: Path, run_verb: RunVerb) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_verb(history, "start", "--port", str(port), check=False)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is taken" in done.stderr
    assert f"make run PORT={port + 1}" in done.stderr
