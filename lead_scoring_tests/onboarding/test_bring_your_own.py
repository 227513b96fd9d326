"""Exports of two companies that differ in everything: looked at, drafted, pulled; and the whole loop without an edit."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.pulling import PULLED_FILE, pull
from lead_scoring_assets.onboarding.draft import draft_settings, write_home
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import RunVerb
from lead_scoring_tests.onboarding.exports import MACRO, write_bank_additional, write_company


def pulled(installation: Installation) -> dict[str, int]:
    """How many distinct rows each entity's files hold, after every period has been pulled."""
    calendar = installation.settings.calendar
    assert calendar.end is not None
    periods = calendar.through(calendar.containing(calendar.end - timedelta(days=1)))
    written = pull(installation, periods)
    assert written == [f"{e}/{period.key}/{PULLED_FILE}" for e in ("leads", "outcomes") for period in periods]
    assert pull(installation, periods) == []
    landing = installation.home.landing
    return {
        entity: duckdb.sql(f"SELECT count(*) FROM read_parquet('{landing}/{entity}/*/{PULLED_FILE}')").fetchall()[0][0]
        for entity in ("leads", "outcomes")
    }


@pytest.mark.parametrize("with_macro", [False, True])
def test_the_banks_extended_file_is_drafted_with_its_leak_named_and_pulled_whole(
    bank_mirror: Path, tmp_path: Path, with_macro: bool
) -> None:
    export = write_bank_additional(bank_mirror, tmp_path, with_macro=with_macro, rows=8_000)
    draft = draft_settings([export], "bank extended")
    installation = Installation(Home(write_home(tmp_path / "home", draft)))
    settings = installation.settings
    assert settings.columns["duration"].role == "forbidden"
    assert any("'duration'" in remark and "after the outcome" in remark for remark in draft.remarks)
    assert settings.sources.outcomes.values["outcome"] == {"no": "lost", "yes": "converted"}
    assert (settings.periods.cadence, str(settings.periods.start)) == ("month", "2008-05-01")
    assert ({"emp_var_rate", "nr_employed"} <= set(settings.registry.features)) == with_macro
    assert len(settings.columns) == 15 + len(MACRO) * with_macro
    assert not {"month", "day_of_week"} & set(settings.registry.features)
    rows = len(export.read_text(encoding="utf-8").splitlines()) - 1
    assert pulled(installation) == {"leads": rows, "outcomes": rows}


def test_two_files_from_excel_in_dubai_are_drafted_and_pulled_whole(tmp_path: Path) -> None:
    leads, deals = write_company(tmp_path, leads=1_500)
    draft = draft_settings([deals, leads])
    installation = Installation(Home(write_home(tmp_path / "home", draft)))
    settings = installation.settings
    assert settings.sources.leads.rename["No. of Employees"] == "no_of_employees"
    assert settings.sources.leads.time_format == "%d/%m/%Y %H:%M"
    assert settings.sources.outcomes.rename == {
        "Lead ID": "lead_id",
        "Status": "outcome",
        "Closed On": "outcome_at",
        "Deal Value (AED)": "deal_value",
    }
    assert settings.sources.outcomes.values["outcome"] == {"Won": "converted", "Lost": "lost", "Junk": "disqualified"}
    assert settings.currency == "AED"
    assert "Café Événement" in settings.columns["lead_source"].categories
    assert settings.columns["phone"].role == settings.columns["company"].role == "context"
    remarks = "\n".join(draft.remarks)
    assert "begin like a formula" in remarks
    assert "time_zone" in remarks
    still_open = deals.read_text(encoding="cp1252").count(",Open,")
    assert pulled(installation) == {"leads": 1_500, "outcomes": 1_500 - still_open}
    (formula,) = duckdb.sql(
        f"SELECT DISTINCT left(\"Company\", 11) FROM read_parquet('{installation.home.landing}/leads/*/{PULLED_FILE}') "
        "WHERE \"Company\" LIKE '=%'"
    ).fetchall()
    assert formula == ("=SUM(A1:A9)",)


# Before the files that wait for the first months of the bank: they are made meanwhile.
@pytest.mark.slow(minutes=6)
@pytest.mark.parametrize("company", ["bank", "dubai"])
def test_the_drafted_settings_carry_the_whole_loop_to_a_trained_model(
    company: str, bank_mirror: Path, tmp_path: Path, run_verb: RunVerb
) -> None:
    if company == "bank":
        paths = [write_bank_additional(bank_mirror, tmp_path, with_macro=False, rows=10_000)]
    else:
        paths = write_company(tmp_path, leads=14_000)
    draft = draft_settings(paths)
    # The only edit: a zone, which no file states.
    home = write_home(tmp_path / "home", draft)
    settings = home / "lead_scoring.yaml"
    zone = "UTC" if company == "bank" else "Asia/Dubai"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("time_zone: UTC", f"time_zone: {zone}"), encoding="utf-8"
    )
    run_verb(home, "prepare")
    # The fourth month: the first at which leads have matured beyond the holdout and the embargo.
    last = "2008-08" if company == "bank" else "2024-04"
    run_verb(home, "materialize", "--through", last)
    installation = Installation(Home(home))
    files = installation.lakehouse.read("arrived_files").to_pylist()
    assert all(f["rows_in"] == f["accepted"] + f["rejected"] + f["duplicates"] for f in files)
    assert sum(f["accepted"] for f in files) > 0.99 * sum(f["rows_in"] for f in files) > 0
    assert not [f["problem"] for f in files if f["problem"]]
    assert installation.lakehouse.read("model_evaluation").num_rows
    assert "duration" not in installation.lakehouse.read("lead_features").column_names
