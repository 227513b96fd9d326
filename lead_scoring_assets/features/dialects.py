"""The plan is written once, in DuckDB's SQL; here it is said in Spark's."""

from typing import Literal

Dialect = Literal["duckdb", "spark"]


def in_spark(sql: str) -> str:
    """DuckDB's `sql` as Spark takes it: its quoting of names and texts, its functions."""
    import sqlglot  # only who sends the plan to Spark pays for this import
    from sqlglot import exp

    tree = sqlglot.parse_one(sql, read="duckdb")
    for function in list(tree.find_all(exp.Anonymous)):
        if function.name.lower() == "epoch_us":  # which sqlglot does not translate
            function.replace(exp.func("unix_micros", *function.expressions))
    return tree.sql("spark", pretty=True)
