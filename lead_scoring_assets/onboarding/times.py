"""Times as exports write them: which format a column of texts has, and the SQL that reads it."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

_DAYS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y%m%d"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S", ", %H:%M", ", %I:%M %p")
FORMATS: tuple[str, ...] = tuple(day + clock for day in _DAYS for clock in _CLOCKS)
"""In order of preference: where a column fits several, the first that does is taken. So the day goes before the month."""

_ISO = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?( ?(Z|[+-][0-9]{2}(:?[0-9]{2})?))?)?$"
_HAS_ZONE = "[0-9]{2}:[0-9]{2}.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_LIKE_A_TIME = "[0-9].*[-/. ,:].*[0-9]|^(19|20)[0-9]{6}$"
_TRIED = 2_000
CALENDAR_WORDS = frozenset(
    word[:length].casefold() for word in (*calendar.month_name, *calendar.day_name) for length in (3, len(word)) if word
)
"""Names of months and days of the week, whole and in three letters."""
_ENOUGH = 0.98


@dataclass(frozen=True)
class TimeFormat:
    """How a column writes its times. `form` None: ISO 8601. `has_zone`: with an offset, so no zone need be guessed.

    `other`: a second format that fits just as well (the day and the month exchanged), or None.
    """

    form: str | None
    has_zone: bool = False
    other: str | None = None


def moment_sql(text: str, form: TimeFormat) -> str:
    """SQL: the text expression as a TIMESTAMP (UTC where it has an offset, else as written); NULL for what is none."""
    if form.form is not None:
        return f"try_strptime({text}, '{form.form}')"
    if form.has_zone:
        return f"timezone('UTC', try_cast({text} AS TIMESTAMPTZ))"
    return f"try_cast({text} AS TIMESTAMP)"


def find_format(connection: duckdb.DuckDBPyConnection, table: str, text: str) -> TimeFormat | None:
    """The format in which nearly all filled texts (SQL expression `text`) of `table` are times, or None."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE tried AS SELECT * FROM (SELECT DISTINCT {text} AS v FROM {table}) "  # noqa: S608
        f"WHERE v <> '' ORDER BY md5(v) LIMIT {_TRIED}"
    )
    likely_sql = f"SELECT count(*), count_if(regexp_matches(v, '{_LIKE_A_TIME}')) FROM tried"  # noqa: S608  # constants
    total, likely = _one(connection, likely_sql)
    if not total or likely < _ENOUGH * total:
        return None
    iso_sql = (
        f"SELECT count_if(regexp_matches(v, '{_ISO}') AND try_cast(v AS TIMESTAMPTZ) IS NOT NULL), "  # noqa: S608
        f"count_if(regexp_matches(v, '{_HAS_ZONE}')) FROM tried"
    )
    iso, zoned = _one(connection, iso_sql)
    if iso >= _ENOUGH * total:
        return TimeFormat(None, has_zone=zoned > total / 2)
    # DuckDB's %Y takes a year of two digits as well, and means the first century.
    long_year = "regexp_matches(v, '[0-9]{4}')"
    counts = ", ".join(
        f"count_if(try_strptime(v, '{form}') IS NOT NULL AND {'' if '%Y' in form else 'NOT '}{long_year})"
        for form in FORMATS
    )
    fits = _one(connection, f"SELECT {counts} FROM tried")  # noqa: S608  # constants
    best = max(fits)
    if best < _ENOUGH * total:
        return None
    form, *others = [form for form, fit in zip(FORMATS, fits, strict=True) if fit == best]
    exchanged = form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")
    return TimeFormat(form, other=exchanged if exchanged in others else None)


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> Sequence[int]:
    (row,) = connection.execute(sql).fetchall()
    return [int(value) for value in row]
