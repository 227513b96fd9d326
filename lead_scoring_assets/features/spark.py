"""The plan on a Spark cluster, through Spark Connect: tables in, one folder of Parquet files for each period out.

The server reads the Delta tables itself, in the version it is told, and writes the result below the home folder; so it
must see that folder under the same path: a local server does, a cluster needs a shared file system, and Delta Lake among
its data sources (Databricks, EMR and Sail have it; plain Spark takes it with `--packages io.delta:delta-spark_…`).
Sail (0.7) cannot read below a folder whose name holds a blank or a letter beyond ASCII.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from lead_scoring_assets.errors import LeadScoringError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PACKAGE = Path(__file__).resolve().parents[1]
_PATIENCE_S = 10.0
_CONFIGURATION = {
    "spark.sql.session.timeZone": "UTC",
    # Spark's default, INT96, has neither a zone nor microseconds.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_ANSWER_INSTEAD = "or let DuckDB compute on this machine: `compute: {engine: duckdb}` in lead_scoring.yaml"


class Input(BaseModel):
    """A Delta table in one version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    version: int


class Slice(BaseModel):
    """One period's work: which periods of each table it reads, and the folder in which its rows are left."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period: str
    reads: Mapping[str, tuple[str, ...]]
    folder: str


class SparkTask(BaseModel):
    """All that the cluster is told; it travels as JSON. `sql` is the plan in Spark's dialect over `inputs`' names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    remote: str
    sql: str
    inputs: Mapping[str, Input]
    slices: tuple[Slice, ...]


class Done(BaseModel):
    """A period that the cluster has written: how many rows it must have, and the version of Spark that the server speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period: str
    rows: int
    spark_version: str


def interpreter(named: Path | None) -> Path:
    """The Python with Spark's client: the one that the settings name, else the one that `make spark` made.

    An environment of its own, because MLflow asks any pyspark that it finds for a session, and pyspark ends processes
    that it takes for its own tests.

    Raises:
        LeadScoringError: it is not there.
    """
    python = named or PACKAGE.parent / ".venv-spark" / "bin" / "python"
    if not python.is_file():
        raise LeadScoringError(
            f"features are to be computed by Spark: expected a Python with its client at {python}, found none. Run "
            f"`make spark`, or name one in compute.spark_python, {_ANSWER_INSTEAD}."
        )
    return python


def run(task: SparkTask) -> Iterator[Done]:
    """Do the task, and tell each period that is done.

    Raises:
        LeadScoringError: no Spark answers at `task.remote`, or it refused; says where, why, and what to do.
    """
    from pyspark.errors import PySparkException

    spark = connect(task.remote)
    try:
        for one in task.slices:
            for name, given in task.inputs.items():
                rows = spark.read.format("delta").option("versionAsOf", given.version).load(f"file://{given.path}")
                rows.where(rows["period"].isin(list(one.reads[name]))).createOrReplaceTempView(name)
            spark.sql(task.sql).write.mode("overwrite").parquet(f"file://{one.folder}")
            (leads,) = spark.sql("SELECT count(DISTINCT period, lead_id) AS leads FROM raw_leads").collect()
            yield Done(period=one.period, rows=leads["leads"], spark_version=spark.version)
    except PySparkException as problem:
        raise LeadScoringError(_refused(task, problem)) from problem
    finally:
        spark.stop()


def connect(remote: str) -> "SparkSession":
    """A session at `remote` (sc://host:port/;parameters) that counts in UTC.

    Raises:
        LeadScoringError: the client is not installed, `remote` is not an address, or nothing there speaks Spark Connect.
    """
    # pyspark waits ten minutes for a server that is not there; its parameters may hold a token, which nobody should read.
    place = remote.split(";")[0].rstrip("/")
    try:
        import grpc
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
        from pyspark.sql.connect.client import DefaultChannelBuilder
    except ImportError as problem:
        raise LeadScoringError(
            f"features are to be computed by Spark at {place}, but its client cannot be imported ({problem}): make an "
            f"environment that has it (`make spark`), {_ANSWER_INSTEAD}."
        ) from problem
    try:
        channel = DefaultChannelBuilder(remote).toChannel()
    except (PySparkException, ValueError) as problem:
        raise LeadScoringError(
            f"compute.spark_remote {place} is not the address of a Spark Connect server ({problem}): expected one such "
            f"as sc://127.0.0.1:50051. Correct it, {_ANSWER_INSTEAD}."
        ) from problem
    try:
        grpc.channel_ready_future(channel).result(timeout=_PATIENCE_S)
        spark: SparkSession = SparkSession.builder.remote(remote).create()
        for name, value in _CONFIGURATION.items():
            spark.conf.set(name, value)
    except (grpc.FutureTimeoutError, grpc.RpcError, PySparkException) as problem:
        told = str(problem).splitlines()[0] if str(problem) else f"no answer in {_PATIENCE_S:.0f} seconds"
        raise LeadScoringError(
            f"expected a Spark Connect server at {place} (compute.spark_remote), found none that answers ({told}): "
            f"start it, or correct the address, {_ANSWER_INSTEAD}."
        ) from problem
    finally:
        channel.close()
    return spark


def collect(one: Slice, schema: pa.Schema, expected: int) -> pa.Table:
    """The rows that the cluster left, in the types of `schema`, in order of period and lead id.

    Raises:
        LeadScoringError: they are not as many as the cluster read leads.
    """
    import pyarrow.dataset as pads  # brings pandas with it

    # Where there are no rows some servers leave a file without any, and some none.
    files = sorted(str(file) for file in Path(one.folder).rglob("*.parquet"))
    rows: pa.Table = pads.dataset(files, format="parquet").to_table() if files else schema.empty_table()
    if rows.num_rows != expected:
        raise LeadScoringError(
            f"Spark read {expected:,} leads of {one.period} and wrote their features to {one.folder}; {rows.num_rows:,} "
            "rows lie there. The cluster must see this folder under the same path: mount it there, "
            f"{_ANSWER_INSTEAD}."
        )
    return rows.select(schema.names).cast(schema).sort_by([("period", "ascending"), ("lead_id", "ascending")])


def clear(folder: Path) -> None:
    """Remove what the cluster left; nothing there is not an error."""
    shutil.rmtree(folder, ignore_errors=True)


def _refused(task: SparkTask, problem: Any) -> str:
    place = task.remote.split(";")[0].rstrip("/")
    told = str(problem).split("\n\nJVM stacktrace")[0][:1000]
    paths = [given.path for given in task.inputs.values()]
    odd = any(re.search(r"[^A-Za-z0-9._/-]", path) for path in paths)
    hint = " Some servers (Sail) cannot read folders with blanks or accents: use a home folder without." if odd else ""
    return (
        f"Spark at {place} could not compute the features of {', '.join(one.period for one in task.slices)}: {told}. "
        f"Expected it to read the Delta tables {', '.join(paths)} under these very paths.{hint} Mend that, {_ANSWER_INSTEAD}."
    )
