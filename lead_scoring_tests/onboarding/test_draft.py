"""What init writes: settings that can always be read, with every guess told."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import LeadScoringError, SourceError
from lead_scoring_assets.onboarding.draft import draft_settings, write_home
from lead_scoring_assets.onboarding.yaml_text import block, mapping, scalar, sequence
from lead_scoring_assets.settings import Home, Settings, parse_settings


def write(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def drafted(*paths: Path) -> tuple[Settings, str, str]:
    """The settings, the text, and all remarks as one text."""
    draft = draft_settings(list(paths))
    return parse_settings(draft.text, "draft"), draft.text, "\n".join(draft.remarks)


def days(number: int, start: str = "2024-01-01") -> str:
    return (datetime.fromisoformat(start) + timedelta(days=number)).date().isoformat()


def one_file(folder: Path, rows: int = 400, *, with_id: bool = True, with_end: bool = True, leak: bool = False) -> Path:
    header = ["id", "created", "size", "channel", "status", "closed", "touch"]
    table = [
        [
            f"L{n}",
            days(n // 2),
            str(n % 7),
            "web" if n % 3 else "call",
            "Won" if n % 5 == 0 else "Lost" if n % 5 < 4 else "New",
            days(n // 2 + n % 9) if n % 5 < 4 else "",
            str(n % 50 + 100 * (n % 5 == 0)) if leak else "1",
        ]
        for n in range(rows)
    ]
    left_out = ([] if with_id else [0]) + ([] if with_end else [5])
    keep = [at for at in range(len(header)) if at not in left_out]
    return write(folder / "crm.csv", [header[at] for at in keep], [[row[at] for at in keep] for row in table])


def test_status_beside_the_lead_becomes_a_source_of_outcomes_and_no_column_of_leads(tmp_path: Path) -> None:
    settings, _, remarks = drafted(one_file(tmp_path))
    assert settings.sources.leads.rename == {"id": "lead_id", "created": "created_at"}
    assert settings.sources.outcomes.rename == {"id": "lead_id", "status": "outcome", "closed": "outcome_at"}
    assert settings.sources.outcomes.values["outcome"] == {"Won": "converted", "Lost": "lost"}
    assert "WHERE" in (settings.sources.outcomes.sql or "")
    assert set(settings.columns) == {"size", "channel", "touch"}
    assert list(settings.registry.features) == ["size", "channel"]  # what is the same everywhere tells nothing
    assert "Won = converted" in remarks
    assert settings.labels.conversion_window_days == 10  # conversions take 0 to 8 days


def test_a_column_that_alone_tells_the_outcome_is_forbidden_with_its_auc(tmp_path: Path) -> None:
    settings, _, remarks = drafted(one_file(tmp_path, leak=True))
    assert settings.columns["touch"].role == "forbidden"
    assert "AUC 1.00" in settings.columns["touch"].why
    assert "'touch'" in remarks
    assert settings.columns["size"].role == "feature"


def test_without_an_id_the_row_number_is_one_and_people_are_warned(tmp_path: Path) -> None:
    settings, text, remarks = drafted(one_file(tmp_path, with_id=False))
    assert "row_number()" in (settings.sources.leads.sql or "")
    assert "row_number()" in (settings.sources.outcomes.sql or "")
    assert "# WARNING: no column names the lead" in text
    assert "Add an id to the export" in remarks


def test_without_a_time_of_the_outcome_one_is_assumed_and_said_so(tmp_path: Path) -> None:
    settings, _, remarks = drafted(one_file(tmp_path, with_end=False))
    assert "ASSUMED" in remarks
    assert "'assumed: 29 days after creation' AS provenance" in (settings.sources.outcomes.sql or "")
    assert settings.labels.conversion_window_days == 30


def test_without_any_time_init_refuses_and_says_what_is_needed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", ["id", "size", "status"], [[str(n), str(n % 3), "won"] for n in range(9)])
    with pytest.raises(
        SourceError, match=r"expected a column that says when each lead was created.*Add it to the export"
    ):
        draft_settings([path])


def test_without_a_usable_column_init_refuses(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", ["id", "created", "same"], [[str(n), days(n), "a"] for n in range(9)])
    with pytest.raises(SourceError, match="no column that a model could use"):
        draft_settings([path])


def test_without_outcomes_the_draft_says_what_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", ["id", "created", "size"], [[str(n), days(n), str(n % 5)] for n in range(90)])
    settings, text, remarks = drafted(path)
    assert settings.sources.outcomes.sql is None
    assert "outcomes: none found" in text
    assert "nothing can be learnt until outcomes come" in remarks


def test_status_words_that_are_not_understood_are_told(tmp_path: Path) -> None:
    rows = [[f"L{n}", days(n), str(n % 5), ["Won", "Lost", "Zaphod"][n % 3], days(n + 2)] for n in range(90)]
    path = write(tmp_path / "x.csv", ["id", "created", "size", "status", "closed"], rows)
    settings, text, remarks = drafted(path)
    assert "Zaphod" not in settings.sources.outcomes.values["outcome"]
    assert "Zaphod" in text
    assert "['Zaphod'] are not understood" in remarks


@pytest.mark.parametrize(
    ("leads_a_day", "length", "cadence"), [(3, 300, "month"), (3, 60, "week"), (3, 20, "day"), (2_500, 150, "week")]
)
def test_the_cadence_follows_the_amount_and_the_length_of_the_data(
    tmp_path: Path, leads_a_day: int, length: int, cadence: str
) -> None:
    rows = [[str(n), days(n // leads_a_day), str(n % 5)] for n in range(leads_a_day * length)]
    settings, _, _ = drafted(write(tmp_path / "x.csv", ["lead id", "created", "size"], rows))
    assert settings.periods.cadence == cadence
    assert settings.calendar.start.date().isoformat() <= days(0)
    assert settings.calendar.end is not None
    assert settings.calendar.end.date().isoformat() > days(length - 1)


def test_names_that_the_system_uses_itself_and_odd_names_are_renamed(tmp_path: Path) -> None:
    header = [
        "Lead ID",
        "Created",
        "created_at",
        "Period",
        "outcome ",
        "No. of Staff",
        "No of staff",
        "عدد",
        "1st",
        "???",
    ]
    rows = [[f"L{n}", days(n), *(str((n + at) % 4 + 10) for at in range(8))] for n in range(60)]
    settings, _, _ = drafted(write(tmp_path / "x.csv", header, rows))
    ours = settings.sources.leads.rename
    assert (ours["Lead ID"], ours["Created"]) == ("lead_id", "created_at")
    assert set(settings.columns) == {
        *("created_at_2", "period_2", "outcome_2", "no_of_staff", "no_of_staff_2", "عدد", "column_1st", "column")
    }


def test_words_for_missing_numbers_are_mapped_to_nothing(tmp_path: Path) -> None:
    rows = [[f"L{n}", days(n), "N/A" if n % 9 == 0 else str(n % 5)] for n in range(90)]
    settings, _, _ = drafted(write(tmp_path / "x.csv", ["id", "created", "size"], rows))
    assert settings.sources.leads.values == {"size": {"N/A": ""}}
    assert not settings.columns["size"].required


def test_a_home_is_made_once_and_never_overwritten(tmp_path: Path) -> None:
    draft = draft_settings([one_file(tmp_path)], "My Firm!")
    home = Home(write_home(tmp_path / "new", draft))
    assert home.settings.name == "my-firm"
    with pytest.raises(LeadScoringError, match="exists already"):
        write_home(tmp_path / "new", draft)


def test_a_file_that_only_a_copy_makes_readable_is_copied_into_the_home(tmp_path: Path) -> None:
    path = one_file(tmp_path)
    path.write_bytes(path.read_text().replace("web", "“web” €").encode("cp1252"))
    draft = draft_settings([path])
    home = write_home(tmp_path / "new", draft)
    assert "“web” €" in (home / "exports" / "crm.csv").read_text(encoding="utf-8")
    assert Home(home).settings.columns["channel"].categories == ("call", "“web” €")


_NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=12)
_WORD = st.sampled_from(
    ["yes", "no", "null", "1e5", "0x1F", "=1+1", "a: b", "'", '"', "# c", "- d", "{e}", "٣", "é\u0085", "~", "1:30"]
)


@hypothesis_settings(max_examples=40)
@given(data=st.data())
def test_whatever_the_table_the_draft_can_be_read_or_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("draft")
    names = data.draw(st.lists(_NAME, min_size=1, max_size=4, unique=True))
    values = st.one_of(
        _WORD, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), st.integers().map(str)
    )
    columns = [data.draw(st.lists(values, min_size=3, max_size=5)) for _ in names]
    rows = [
        [f"L{n}", days(n), *(column[n % len(column)] for column in columns), ["Won", "lost", "نعم"][n % 3], str(n % 4)]
        for n in range(24)
    ]
    path = write(folder / "x.csv", ["Lead ID", "Created On", *names, "Status", "plain number"], rows)
    draft = draft_settings([path])
    settings = parse_settings(draft.text, "draft")
    assert "plain_number" in settings.columns
    assert set(settings.sources.leads.rename.values()) >= {"lead_id", "created_at"}


@given(st.text(max_size=30))
def test_every_text_comes_back_from_yaml_as_it_was(text: str) -> None:
    assert yaml.safe_load(f"key: {scalar(text)}") == {"key": text}
    assert yaml.safe_load(f"key: {sequence([text, text])}") == {"key": [text, text]}
    assert yaml.safe_load(f"key: {mapping({text: text})}") == {"key": {text: text}}
    assert yaml.safe_load(f"a:\n  key: {block('SELECT 1 ' + text, 4)}") == {"a": {"key": "SELECT 1 " + text}}
