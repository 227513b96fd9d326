"""Whether rows fit a table that is there already: new columns may come and old ones stay away, a type never changes."""

import deltalake
import pyarrow as pa

from lead_scoring_assets.errors import LakehouseError

# A wider number holds every narrower one exactly; nothing else is changed without being asked.
_WIDENS = {
    pa.int8(): (pa.int16(), pa.int32(), pa.int64()),
    pa.int16(): (pa.int32(), pa.int64()),
    pa.int32(): (pa.int64(),),
    pa.float32(): (pa.float64(),),
}


def storable(table: str, schema: pa.Schema) -> pa.Schema:
    """`schema` in the types that Delta stores: one kind of text, time in UTC microseconds, every column may be NULL.

    Raises:
        LakehouseError: a type that Delta does not have, or two names that differ in case only.
    """
    names = [name.casefold() for name in schema.names]
    if same := sorted(name for name in schema.names if names.count(name.casefold()) > 1):
        raise LakehouseError(f"{table}: columns {same} differ in case only, which SQL does not tell apart; rename one")
    return pa.schema([(field.name, _storable(table, field)) for field in schema])


def fitting(table: str, existing: pa.Schema, brought: pa.Schema) -> pa.Schema:
    """The schema in which rows of `brought` (storable) are written to a table of `existing`: its columns, then new ones.

    Raises:
        LakehouseError: a column has another type in the table, no type at all, or a name that differs in case only.
    """
    for field in brought:
        if field.name in existing.names:
            held = existing.field(field.name).type
            if field.type != held and not pa.types.is_null(field.type) and held not in _WIDENS.get(field.type, ()):
                raise LakehouseError(
                    f"{table}: column {field.name!r} is {held} in the table, and the rows to write hold {field.type}. A "
                    f"column keeps its type: write {held}, or give the new values a column of another name."
                )
        elif clash := [name for name in existing.names if name.casefold() == field.name.casefold()]:
            raise LakehouseError(
                f"{table}: column {field.name!r} differs from the table's {clash[0]!r} in case only, which SQL does not "
                f"tell apart: write it as {clash[0]!r}, or choose another name"
            )
        elif pa.types.is_null(field.type):
            raise LakehouseError(
                f"{table}: the new column {field.name!r} holds nothing but NULL and has no type: give it one"
            )
    return pa.schema([*existing, *(field for field in brought if field.name not in existing.names)])


def conformed(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """`rows` with the columns of `schema` in its order; those that they do not have are NULL.

    Raises:
        pa.ArrowInvalid: a value does not fit its column's type without loss.
    """
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.schema.names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _storable(table: str, field: pa.Field) -> pa.DataType:
    if pa.types.is_timestamp(field.type):
        return pa.timestamp("us", tz="UTC" if field.type.tz else None)
    try:
        delta = deltalake.Schema.from_arrow(pa.schema([field.with_nullable(True)]))
    except Exception as problem:  # delta-rs has no class for it
        raise LakehouseError(
            f"{table}: column {field.name!r} is {field.type}, which Delta does not store; convert it before writing"
        ) from problem
    return pa.schema(delta.to_arrow()).field(0).type
