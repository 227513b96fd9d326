"""The plan of features: what becomes NULL, which types come out, odd names, and what never enters."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.errors import LeakageError, SettingsError
from lead_scoring_assets.features.plan import KEYS, build_features, compile_features, feature_columns
from lead_scoring_assets.settings import Home, parse_settings

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = Home(ROOT).settings.registry
CREATED = datetime(2024, 1, 1, tzinfo=UTC)
ODD_NAMES = ["default", 'a"b', "select", "größe in m²", "x; DROP TABLE raw_leads", "it's", "$1", "--", '"']


def number(*missing: float | str, kind: str = "number") -> Column:
    return Column(kind=kind, role="feature", why="test", missing=missing)  # type: ignore[arg-type]


def category(*missing: float | str) -> Column:
    return Column(kind="category", role="feature", why="test", categories=("yes", "no"), missing=missing)


def raw_leads(**columns: object) -> pa.Table:
    """Leads in reverse order of id, so that a plan that does not sort is seen."""
    table = pa.table(columns)
    ids = [f"lead-{i:04}" for i in reversed(range(table.num_rows))]
    keys = {
        "lead_id": ids,
        "period": ["2024-01"] * len(ids),
        "created_at": [CREATED] * len(ids),
        "known_at": [CREATED] * len(ids),
    }
    for name, values in keys.items():
        kind = pa.timestamp("us", tz="UTC") if name.endswith("_at") else pa.string()
        table = table.append_column(name, pa.array(values, kind))
    return table.append_column("version", pa.array([1] * len(ids), pa.int64()))


def column_of(table: pa.Table, column: Column, name: str = "x") -> list[object]:
    """The feature as it comes out, back in the order in which the leads went in."""
    built: list[object] = build_features(table, Registry({name: column}))[name].to_pylist()
    return built[::-1]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (number(-1, kind="integer"), [3, -1, 0], [3.0, None, 0.0]),
        (number(-1), [-1.0, -1.5, 1.0], [None, -1.5, 1.0]),
        (number(-1, 999), [-1.0, 999.0, 9.0], [None, None, 9.0]),
        (number(0.1), [0.1, 0.1000001], [None, 0.1000001]),
        (number(1e22), [1e22, 1.0], [None, 1.0]),
        (number("n/a"), [1.0, 2.0], [1.0, 2.0]),  # a word for missing can not stand in a column of numbers
        (number(), [1.0, None], [1.0, None]),
        (category("unknown"), ["yes", "unknown", "", None], ["yes", None, "", None]),
        (category("unknown", ""), ["no", "unknown", ""], ["no", None, None]),
        (category("it's"), ["it's", "its"], [None, "its"]),
        (category(-1, 0.5), ["-1", "-1.0", "0.5", "yes"], [None, "-1.0", None, "yes"]),
        (category("Unknown"), ["unknown", "Unknown"], ["unknown", None]),
        (category("'); DROP TABLE raw_leads; --"), ["yes", "'); DROP TABLE raw_leads; --"], ["yes", None]),
    ],
)
def test_values_that_mean_missing_become_null(column: Column, values: object, expected: list[object]) -> None:
    assert column_of(raw_leads(x=values), column) == expected


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=20),
    missing=st.lists(st.integers(-5, 5), max_size=4),
)
def test_only_missing_values_are_lost(values: list[int | None], missing: list[int]) -> None:
    expected = [None if value is None or value in missing else float(value) for value in values]
    assert column_of(raw_leads(x=pa.array(values, pa.int64())), number(*missing, kind="integer")) == expected


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.text(alphabet="ab'\"\\ é0", max_size=3), min_size=1, max_size=20),
    missing=st.lists(st.text(alphabet="ab'\"\\ é0", max_size=3), max_size=4),
)
def test_only_missing_categories_are_lost(values: list[str], missing: list[str]) -> None:
    expected = [None if value in missing else value for value in values]
    assert column_of(raw_leads(x=pa.array(values, pa.string())), category(*missing)) == expected


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float32(), pa.float64()])
def test_numbers_are_double_whatever_came(kind: pa.DataType) -> None:
    built = build_features(raw_leads(x=pa.array([1, -1, None], kind)), Registry({"x": number(-1)}))
    assert built.schema.field("x").type == pa.float64()
    assert built["x"].to_pylist() == [None, None, 1.0]


def test_categories_are_text_whatever_came() -> None:
    coded = pa.array(["yes", "no", None]).dictionary_encode()  # "unknown" is not among its codes
    built = build_features(raw_leads(x=coded), Registry({"x": category("unknown")}))
    assert built.schema.field("x").type == pa.string()
    assert built["x"].to_pylist() == [None, "no", "yes"]


def test_the_type_does_not_depend_on_gaps() -> None:
    full = build_features(raw_leads(x=pa.array([1, 2])), Registry({"x": number()}))
    empty = build_features(raw_leads(x=pa.array([None, None], pa.int64())), Registry({"x": number()}))
    assert (
        full.schema == empty.schema == build_features(raw_leads(x=pa.array([1]))[:0], Registry({"x": number()})).schema
    )


def test_odd_names_keep_their_values() -> None:
    registry = Registry({name: number(-1) for name in ODD_NAMES})
    built = build_features(raw_leads(**{name: [float(i), -1.0] for i, name in enumerate(ODD_NAMES)}), registry)
    assert built.column_names == [*KEYS, *ODD_NAMES]
    for i, name in enumerate(ODD_NAMES):
        assert built[name].to_pylist() == [None, float(i)]


def test_columns_come_in_registry_order_and_rows_by_period_and_lead() -> None:
    registry = Registry({"z": number(), "a": number(), "m": category()})
    leads = raw_leads(a=[1.0, 2.0, 3.0, 4.0], m=["yes"] * 4, z=[5.0, 6.0, 7.0, 8.0])
    position = leads.column_names.index("period")
    leads = leads.set_column(position, "period", pa.array(["2024-02", "2024-01", "2024-02", "2024-01"]))
    built = build_features(leads, registry)
    assert (
        built.column_names
        == feature_columns(registry)
        == ["period", "lead_id", "created_at", "known_at", "z", "a", "m"]
    )
    assert built.select(["period", "lead_id", "a"]).to_pylist() == [
        {"period": "2024-01", "lead_id": "lead-0000", "a": 4.0},
        {"period": "2024-01", "lead_id": "lead-0002", "a": 2.0},
        {"period": "2024-02", "lead_id": "lead-0001", "a": 3.0},
        {"period": "2024-02", "lead_id": "lead-0003", "a": 1.0},
    ]
    assert build_features(leads.take([2, 0, 3, 1]), registry).equals(built)


def shipped_leads(n: int = 50) -> pa.Table:
    values: dict[str, object] = {}
    for name, column in SHIPPED.lead_columns.items():
        if name not in KEYS:
            values[name] = (
                [i % 31 for i in range(n)]
                if column.is_numeric
                else [column.categories[i % len(column.categories)] for i in range(n)]
            )
    return raw_leads(**values)


def test_forbidden_and_context_columns_never_move_a_feature() -> None:
    leads = shipped_leads()
    before = build_features(leads, SHIPPED)
    assert set(before.column_names) == {*KEYS, *SHIPPED.features}
    assert {"duration", "day", "month"} & set(before.column_names) == set()
    for name in ("duration", "day", "month"):
        other = leads.set_column(leads.column_names.index(name), name, pa.array(["changed"] * leads.num_rows))
        assert build_features(other, SHIPPED).equals(before)
    assert build_features(leads.drop_columns(["duration", "day", "month"]), SHIPPED).equals(before)
    # The same trap closes when a feature moves, or it would prove nothing.
    moved = leads.set_column(leads.column_names.index("age"), "age", pa.array([99] * leads.num_rows))
    assert not build_features(moved, SHIPPED).equals(before)


def test_leakage_is_refused_by_name() -> None:
    with pytest.raises(
        LeakageError, match=r"lead_features.*duration \(forbidden: length of the call.*outcome \(forbidden"
    ):
        SHIPPED.assert_no_leakage(["age", "duration", "outcome"], "lead_features")
    text = (ROOT / "lead_scoring.yaml").read_text(encoding="utf-8")
    leaking = text.replace(
        "{kind: integer, role: forbidden, available: after_outcome",
        "{kind: integer, role: feature, available: after_outcome",
    )
    assert leaking != text
    with pytest.raises(SettingsError, match=r"columns\.duration.*after_outcome cannot be a feature"):
        parse_settings(leaking, "lead_scoring.yaml")


def test_a_column_that_did_not_arrive_is_named() -> None:
    with pytest.raises(duckdb.BinderException, match="age"):
        build_features(shipped_leads().drop_columns(["age"]), SHIPPED)


def test_keys_pass_through_untouched() -> None:
    leads = shipped_leads(3)
    later = [CREATED + timedelta(microseconds=i) for i in (1, 2, 3)]
    leads = leads.set_column(
        leads.column_names.index("known_at"), "known_at", pa.array(later, pa.timestamp("us", tz="UTC"))
    )
    built = build_features(leads, SHIPPED)
    assert built["known_at"].to_pylist() == later[::-1]
    assert built.schema.field("created_at").type == pa.timestamp("us", tz="UTC")


def test_the_statement_is_the_same_every_time() -> None:
    assert compile_features(SHIPPED) == compile_features(Home(ROOT).settings.registry)
