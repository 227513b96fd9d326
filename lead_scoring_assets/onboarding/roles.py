"""Which export holds leads and which outcomes, and which column is the id, the time of creation, the status … Guesses,
made by names and by values; the draft tells each. Nothing is written here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.onboarding.inspect_files import ColumnLook, Export, literal, moments_sql, trimmed
from lead_scoring_assets.onboarding.words import (
    CLOSED_NAMES,
    CREATED_NAMES,
    CURRENCIES,
    ID_NAMES,
    LEAK_NAMES,
    REASON_NAMES,
    STATUS_NAMES,
    SYMBOLS,
    TOUCHED_NAMES,
    VALUE_NAMES,
    status_meaning,
    tokens,
)

SUSPICIOUS_AUC = 0.9
_SURE_NAMES = frozenset({"y", "target", "label", "converted", "outcome", "status"})
_LEAST_CASES = 20
_FILLED = 0.8


@dataclass(frozen=True)
class Roles:
    """What plays which part. `outcomes` is the same export as `leads` when the status stands beside the lead.

    `meanings`: status word → our outcome, for the words that are known. `touched`: times that change with every edit.
    """

    leads: Export
    lead_id: str | None
    created: ColumnLook
    touched: Sequence[str]
    outcomes: Export | None = None
    outcome_id: str | None = None
    status: ColumnLook | None = None
    meanings: Mapping[str, str] | None = None
    closed: ColumnLook | None = None
    value: ColumnLook | None = None
    currency: str | None = None
    currency_column: str | None = None
    reason: str | None = None
    unused: Sequence[Export] = ()

    @property
    def is_one_file(self) -> bool:
        return self.outcomes is self.leads

    @property
    def final_words(self) -> list[str]:
        """Status words that say how a lead ended, or that it was not reached."""
        return [word for word, outcome in (self.meanings or {}).items() if outcome != "open"]

    @property
    def converted_words(self) -> list[str]:
        return [word for word, outcome in (self.meanings or {}).items() if outcome == "converted"]


def find_roles(connection: duckdb.DuckDBPyConnection, exports: Sequence[Export]) -> Roles:
    """The parts of all exports.

    Raises:
        SourceError: no export has a time at which its leads were created.
    """
    statuses = {export.table: _status(export) for export in exports}
    leads = _lead_export(exports, statuses)
    created = _created(leads)
    if created is None:
        raise SourceError(
            f"{leads.label} has no time: expected a column that says when each lead was created (such as created_at, "
            f"2024-05-31 14:05), found {list(leads.columns)}. Without it nothing can be learnt that holds tomorrow. Add it "
            "to the export; if only the order of rows is known, give each row the date of its month, spread evenly."
        )
    outcomes = next(
        (e for e in exports if e is not leads and statuses[e.table]), leads if statuses[leads.table] else None
    )
    lead_id = _identifier(leads, outcomes if outcomes is not leads else None)
    touched = [
        look.name
        for look in leads.columns.values()
        if look.kind == "time" and look is not created and tokens(look.name) & TOUCHED_NAMES
    ]
    if outcomes is None:
        return Roles(leads, lead_id, created, touched, unused=[e for e in exports if e is not leads])
    status = statuses[outcomes.table]
    outcome_id = lead_id if outcomes is leads else _shared_id(connection, leads, lead_id, outcomes)
    if status is None or (outcomes is not leads and outcome_id is None):
        return Roles(leads, lead_id, created, touched, unused=[e for e in exports if e is not leads])
    meanings = {word: meaning for word in status.values if (meaning := status_meaning(word)) is not None}
    found = Roles(leads, lead_id, created, touched, outcomes, outcome_id, status, meanings)
    value = _value(found)
    currency, currency_column = _currency(found, value)
    return Roles(
        leads,
        lead_id,
        created,
        touched,
        outcomes,
        outcome_id,
        status,
        meanings,
        _closed(connection, found),
        value if currency or currency_column else None,
        currency,
        currency_column,
        next((name for name in outcomes.columns if tokens(name) & REASON_NAMES), None),
        [e for e in exports if e is not leads and e is not outcomes],
    )


def _lead_export(exports: Sequence[Export], statuses: Mapping[str, ColumnLook | None]) -> Export:
    """Leads come once each and were created; the widest of several such exports."""

    def rank(export: Export) -> tuple[bool, bool, bool, int]:
        created = _created(export)
        says_lead = any("lead" in path.stem.casefold() for path in export.paths)
        is_named = created is not None and bool(tokens(created.name) & {"created", "create", "creation"})
        return created is not None, is_named, says_lead or statuses[export.table] is None, len(export.columns)

    return max(exports, key=rank)


def _status(export: Export) -> ColumnLook | None:
    """The column that says how leads end: its name says so, or its words do."""

    def rank(look: ColumnLook) -> tuple[int, float]:
        words = tokens(look.name)
        known = {word: status_meaning(word) for word in look.values}
        share = sum(n for word, n in look.values.items() if known[word]) / max(look.filled, 1)
        if "converted" not in known.values() or share < 0.5:
            return 0, 0.0
        if words & _SURE_NAMES:
            return 3, share
        if words & STATUS_NAMES:
            return 2, share
        # A column of yes and no may be about anything.
        plain = {"yes", "no", "y", "n", "true", "false", "0", "1", "unknown"}
        return (0, 0.0) if all(word.casefold() in plain for word in look.values) else (1, share)

    kinds = ("category", "integer")
    candidates = [look for look in export.columns.values() if look.kind in kinds and 1 <= len(look.values) <= 30]
    best = max(candidates, key=rank, default=None)
    return best if best is not None and rank(best)[0] > 0 else None


def _created(export: Export) -> ColumnLook | None:
    """The time of creation: by its name, else the one that is filled most."""

    def rank(look: ColumnLook) -> tuple[int, float]:
        words = tokens(look.name)
        hint = 3 if words & {"created", "create", "creation"} else 2 if words & CREATED_NAMES else 1
        return (0 if words & (TOUCHED_NAMES | CLOSED_NAMES) else hint), look.filled / look.rows

    times = [look for look in export.columns.values() if look.kind == "time" and look.filled >= _FILLED * look.rows]
    best = max(times, key=rank, default=None)
    return best if best is not None and rank(best)[0] > 0 else None


def _identifier(leads: Export, other: Export | None) -> str | None:
    """The column that names the lead: an id by its name whose values differ; with two exports one that both know."""

    def rank(look: ColumnLook) -> tuple[int, bool, bool, float]:
        words = tokens(look.name)
        hint = 3 if {"lead", "id"} <= words else 2 if words & {"id", "uuid", "guid"} else 1
        is_shared = other is not None and any(tokens(name) == words for name in other.columns)
        return hint, is_shared, look.is_unique, look.distinct / max(look.rows, 1)

    candidates = [
        look
        for look in leads.columns.values()
        if look.filled == look.rows
        and look.kind not in ("time", "number")
        and tokens(look.name) & ID_NAMES
        # Rows of the same id are versions of one lead; but most leads have one row only.
        and look.distinct > look.rows / 2
    ]
    best = max(candidates, key=rank, default=None)
    return best.name if best else None


def _shared_id(
    connection: duckdb.DuckDBPyConnection, leads: Export, lead_id: str | None, outcomes: Export
) -> str | None:
    """The column of `outcomes` in which most of the lead ids stand that it has, or None."""
    if lead_id is None:
        return None
    best, best_share = None, 0.5
    for look in outcomes.columns.values():
        if look.kind in ("time", "empty") or look.distinct < min(_LEAST_CASES, outcomes.rows / 10):
            continue
        (share,) = connection.execute(
            f"""
            SELECT avg(CASE WHEN {trimmed(look.name)} IN (SELECT {trimmed(lead_id)} FROM {leads.table}) THEN 1 ELSE 0 END)
            FROM {outcomes.table}
            """  # noqa: S608  # names are quoted
        ).fetchall()[0]
        share += 0.01 * bool(tokens(look.name) & ID_NAMES)
        if share > best_share:
            best, best_share = look.name, share
    return best


def _closed(connection: duckdb.DuckDBPyConnection, roles: Roles) -> ColumnLook | None:
    """The time of the outcome: filled where the status is final, and not before the lead was created."""
    outcomes, status = roles.outcomes, roles.status
    if outcomes is None or status is None or not roles.final_words:
        return None
    is_final = f"{trimmed(status.name)} IN ({', '.join(map(literal, roles.final_words))})"
    best, best_rank = None, (0, 0.0)
    for look in outcomes.columns.values():
        if look.kind != "time" or (roles.is_one_file and look is roles.created):
            continue
        filled, elsewhere = connection.execute(
            f"SELECT avg(({moments_sql(look)} IS NOT NULL)::INT) FILTER ({is_final}), "  # noqa: S608  # names are quoted
            f"avg(({moments_sql(look)} IS NOT NULL)::INT) FILTER (NOT {is_final}) FROM {outcomes.table}"
        ).fetchall()[0]
        words = tokens(look.name)
        only_final = elsewhere is not None and elsewhere < 0.2
        hint = 2 if words & CLOSED_NAMES else 1 if only_final or not roles.is_one_file else 0
        if words & TOUCHED_NAMES and hint < 2:
            hint = 0
        if filled is not None and filled >= _FILLED and (hint, filled) > best_rank:
            best, best_rank = look, (hint, float(filled))
    return best if best_rank[0] else None


def _value(roles: Roles) -> ColumnLook | None:
    columns = roles.outcomes.columns.values() if roles.outcomes else ()
    numbers = [c for c in columns if c.kind in ("integer", "number") and (c.low is None or c.low >= 0)]
    named = [c for c in numbers if tokens(c.name) & VALUE_NAMES]
    if roles.is_one_file:  # else a price that was asked for at the beginning would be taken for that of the deal
        named = [c for c in named if tokens(c.name) & {"deal", "revenue", "won"}]
    return max(named, key=lambda c: len(tokens(c.name) & VALUE_NAMES), default=None)


def _currency(roles: Roles, value: ColumnLook | None) -> tuple[str | None, str | None]:
    """The three letters of the currency, or the column that has them."""
    if value is None or roles.outcomes is None:
        return None, None
    shown = {word.upper() for word in tokens(value.name)} & CURRENCIES
    shown |= {code for symbol, code in SYMBOLS.items() if symbol in value.name}
    if not shown:
        texts = " ".join(value.examples)
        shown = {code for code in CURRENCIES if code in texts}
        shown |= {code for symbol, code in SYMBOLS.items() if symbol in texts}
    if shown:
        return min(shown), None
    for look in roles.outcomes.columns.values():
        if "currency" in tokens(look.name) and look.values and set(look.values) <= CURRENCIES:
            return None, look.name
    return None, None


def suspects(connection: duckdb.DuckDBPyConnection, roles: Roles, names: Sequence[str]) -> dict[str, str]:
    """Columns of the leads that may be known only after the outcome, and why: by name, or because one column alone
    tells converted leads from the others (AUC above 0.9, of its values or of whether it is filled)."""
    found: dict[str, str] = {}
    for name in names:
        if words := sorted(tokens(name) & LEAK_NAMES):
            found[name] = f"its name says {' and '.join(words)}, which is known after the outcome"
    auc = _single_feature_auc(connection, roles, names)
    for name, (value, what) in auc.items():
        if value > SUSPICIOUS_AUC:
            told = f"{what} alone tells who converted (AUC {value:.2f})"
            found[name] = f"{found[name]}; {told}" if name in found else f"{told}: is it filled after the outcome?"
        elif name in found:
            found[name] += f" (AUC of it alone: {value:.2f})"
    return found


def _single_feature_auc(
    connection: duckdb.DuckDBPyConnection, roles: Roles, names: Sequence[str]
) -> dict[str, tuple[float, str]]:
    """By column: the AUC of its best single use, and of which; empty when there are too few cases to say."""
    if roles.outcomes is None or roles.status is None or not roles.converted_words:
        return {}
    converted = ", ".join(map(literal, roles.converted_words))
    final = ", ".join(map(literal, roles.final_words))
    status = f"o.{quoted(roles.status.name)}"
    label = f"trim({status}) IN ({converted})"
    if roles.is_one_file:
        source = (
            f"{roles.leads.table} l, LATERAL (SELECT l.{quoted(roles.status.name)}) o WHERE trim({status}) IN ({final})"
        )
    elif roles.lead_id is not None and roles.outcome_id is not None:
        source = (
            f"{roles.leads.table} l JOIN {roles.outcomes.table} o "
            f"ON trim(l.{quoted(roles.lead_id)}) = trim(o.{quoted(roles.outcome_id)}) WHERE trim({status}) IN ({final})"
        )
    else:
        return {}
    connection.execute(f"CREATE OR REPLACE TEMP TABLE judged AS SELECT ({label})::INT AS _label, l.* FROM {source}")  # noqa: S608
    cases, positives = connection.execute("SELECT count(*), coalesce(sum(_label), 0) FROM judged").fetchall()[0]
    if min(positives, cases - positives) < _LEAST_CASES:
        return {}
    found = {}
    for name in names:
        look = roles.leads.columns[name]
        uses = {"whether it is filled": f"({trimmed(name)} <> '')::INT"}
        if look.kind in ("integer", "number") and look.number_style == "plain":
            uses["its value"] = f"try_cast({trimmed(name)} AS DOUBLE)"
        elif look.values:
            # Ranked by the rate of the value's own leads; few values, so that this does not fit noise.
            uses["its value"] = f"avg(_label) OVER (PARTITION BY {trimmed(name)})"
        found[name] = max((_auc(connection, use), what) for what, use in uses.items())
    return found


def _auc(connection: duckdb.DuckDBPyConnection, expression: str) -> float:
    """Share of pairs (converted, other) that the expression orders rightly, ties half; of the better direction."""
    (auc,) = connection.execute(
        f"""
        WITH counted AS (
            SELECT x, sum(_label)::DOUBLE AS p, sum(1 - _label)::DOUBLE AS n
            FROM (SELECT {expression} AS x, _label FROM judged) WHERE x IS NOT NULL GROUP BY x
        ), summed AS (SELECT p, n, coalesce(sum(n) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS below
                      FROM counted)
        SELECT CASE WHEN sum(p) * sum(n) > 0 THEN sum(p * (below + n / 2)) / (sum(p) * sum(n)) ELSE 0.5 END FROM summed
        """  # noqa: S608  # names are quoted
    ).fetchall()[0]
    return max(float(auc or 0.5), 1 - float(auc or 0.5))
