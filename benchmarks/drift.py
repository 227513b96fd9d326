"""What drift costs and how often it cries wolf: ours beside Evidently's and NannyML's reports, on the same SIMULATED rows.

    .venv/bin/python benchmarks/drift.py                     1 million rows of reference, as many to judge
    .venv/bin/python benchmarks/drift.py --rows 10000000 --only ours_reference ours_binned ours_exact ours_at_once
    .venv/bin/python benchmarks/drift.py --rows 100000000 --reference-rows 1000000 --only ours_reference ours_binned
    .venv/bin/python benchmarks/drift.py --alarms            how often each alarms where nothing but chance moves

8 numeric and 4 categorical columns in Parquet files. Every step is a process of its own, below a small parent: CPU seconds and
largest resident memory, and what of both is fixed: the process and its libraries, before it has read a row (CPU seconds
that go mostly into compiling them where nobody keeps the compiled files). scipy, which the others import first and we only with
the first p-value, is fixed for all. Everybody has one thread. Ours, which are quick, run three times, and the middle one is
told. NannyML gets an environment for this run alone. Nothing is asserted about time: machines differ.

- ours_reference: bins, counts and distinct values of the reference, once per model.
- ours_binned: PSI, KL, JS, chi-square, nulls and patterns, from bin counts of the file; the kept reference read first.
- ours_exact: the same and KS and Wasserstein over every row.
- ours_at_once: the reference and ours_exact in one process, as NannyML does it; nothing is kept.
- evidently: `DataDriftPreset(method="psi")`. nannyml: `UnivariateDriftCalculator` (JS, KS, Wasserstein; JS, chi-square).
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

NUMERIC = [f"x{i}" for i in range(8)]
CATEGORIES = {"c0": 3, "c1": 12, "c2": 50, "c3": 500}
# statsmodels: which NannyML imports and does not ask for; pandas: the newest that this one bears.
NANNYML = ("nannyml==0.13.1", "statsmodels==0.14.5", "pandas==2.3.3")
REFERENCE, CURRENT, KEPT = "reference", "current", "kept.arrow"
ROWS_A_FILE = 10_000_000
Told = dict[str, Any]


def _whole(table: Any) -> None:
    """Print a table that no narrow terminal cuts."""
    from rich.console import Console

    Console(width=max(Console().width, 130)).print(table)


def generate(folder: Path, reference_rows: int, rows: int) -> None:
    """Both windows, deterministic: normal, log-normal, counts, gaps; of the current one `x0` moved by 0.3 deviations.

    Above 10 million rows the same file stands there again under other names: it is read as often, and fills no disk.
    """
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET memory_limit = '4GB'; SET preserve_insertion_order = false")
    for window, (file, shift, n) in enumerate(((REFERENCE, 0.0, reference_rows), (CURRENT, 0.3, rows))):

        def uniform(column: int, window: int = window) -> str:
            return f"((hash(i, {column}, {window}) % 9007199254740991 + 1)::DOUBLE / 9007199254740992)"

        def normal(column: int) -> str:
            return f"sqrt(-2 * ln({uniform(column)})) * cos(2 * pi() * {uniform(column + 100)})"

        columns = [f"{normal(0)} + {shift} AS x0", f"{normal(1)} AS x1", f"exp({normal(2)}) AS x2"]
        columns += [f"CASE WHEN {uniform(300)} < 0.1 THEN NULL ELSE {normal(3)} END AS x3"]
        columns += [f"(10 * {uniform(4)} * {uniform(5)})::BIGINT AS x4", f"{uniform(6)} AS x5"]
        columns += [f"CASE WHEN {uniform(7)} < 0.8 THEN -1 ELSE 400 * {uniform(8)} END AS x6", f"{normal(9)} AS x7"]
        columns += [f"'level ' || ({k} * pow({uniform(20 + k)}, 2))::BIGINT AS {c}" for c, k in CATEGORIES.items()]
        (folder / file).mkdir(exist_ok=True)
        first, in_it = folder / file / "0.parquet", min(n, ROWS_A_FILE)
        connection.execute(f"COPY (SELECT {', '.join(columns)} FROM range({in_it}) AS r(i)) TO '{first}'")
        for again in range(1, n // in_it):
            (folder / file / f"{again}.parquet").hardlink_to(first)


# The steps. Each imports first, then counts what it takes.


def ours_reference(folder: Path) -> Callable[[], Told]:
    import pyarrow as pa

    from lead_scoring_assets.monitoring.drift.reference_rows import FIELDS, to_rows
    from lead_scoring_assets.monitoring.drift.row_by_row import reference_of_rows

    def work() -> Told:
        state = reference_of_rows(Files(folder / REFERENCE), NUMERIC, list(CATEGORIES))
        schema = pa.schema(FIELDS)
        # No dictionary or compression would ever make the values smaller; a batch a row, so that each can be read alone.
        with pa.OSFile(str(folder / KEPT), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for row in to_rows(state):
                writer.write_batch(pa.RecordBatch.from_pylist([row], schema))
        return {"rows": state.n_rows}

    return work


def ours_binned(folder: Path) -> Callable[[], Told]:
    from lead_scoring_assets.monitoring.drift.reference_rows import from_rows
    from lead_scoring_assets.monitoring.drift.row_by_row import count_window
    from lead_scoring_assets.monitoring.drift.verdict import Limits
    from lead_scoring_assets.monitoring.drift.window import judge_window

    def work() -> Told:
        reference = from_rows(kept(folder))
        return _judged(judge_window(reference, count_window(reference, Files(folder / CURRENT)), Limits()))

    return work


def ours_exact(folder: Path) -> Callable[[], Told]:
    import pyarrow as pa

    from lead_scoring_assets.monitoring.drift.reference_rows import from_rows, values_of
    from lead_scoring_assets.monitoring.drift.row_by_row import read_rows
    from lead_scoring_assets.monitoring.drift.verdict import Limits
    from lead_scoring_assets.monitoring.drift.window import judge_window

    def work() -> Told:
        told = kept(folder)
        place = {row["feature"]: i for i, row in enumerate(told)}
        reference = from_rows(told)

        def values(column: Any) -> Any:
            file = pa.ipc.open_file(pa.memory_map(str(folder / KEPT)))  # each time anew: what was mapped counts as held
            return values_of(pa.Table.from_batches([file.get_batch(place[column.name])]))[column.name]

        counts, exact = read_rows(reference, Files(folder / CURRENT), values)
        return _judged(judge_window(reference, counts, Limits(), exact=exact))

    return work


def ours_at_once(folder: Path) -> Callable[[], Told]:
    from lead_scoring_assets.monitoring.drift.row_by_row import read_rows, reference_of_rows
    from lead_scoring_assets.monitoring.drift.verdict import Limits
    from lead_scoring_assets.monitoring.drift.window import judge_window

    def work() -> Told:
        reference = reference_of_rows(Files(folder / REFERENCE), NUMERIC, list(CATEGORIES))
        counts, exact = read_rows(reference, Files(folder / CURRENT))
        return _judged(judge_window(reference, counts, Limits(), exact=exact))

    return work


def kept(folder: Path) -> list[Told]:
    """What is kept of the reference, without its values."""
    import pyarrow as pa

    with pa.ipc.open_file(pa.memory_map(str(folder / KEPT))) as file:
        batches = map(file.get_batch, range(file.num_record_batches))
        return [row for batch in batches for row in batch.select(["feature", "content"]).to_pylist()]


def _judged(found: Any) -> Told:
    return {"psi of x0": round(found.features[0].psi or 0, 4), "drifted": found.summary.n_drifted}


class Files:
    """Parquet files that read themselves in batches as an Arrow dataset does, text as codes. The lakehouse's own datasets
    leave text as it is, and bring pandas, a quarter of a second and 45 MB: what `Lakehouse.scan` gives costs that more."""

    def __init__(self, window: Path) -> None:
        import pyarrow.parquet as pq

        names = list(CATEGORIES)
        self._files = [pq.ParquetFile(file, read_dictionary=names) for file in sorted(window.iterdir())]
        self.schema = self._files[0].schema_arrow

    def count_rows(self) -> int:
        return sum(file.metadata.num_rows for file in self._files)

    def to_batches(self, columns: list[str], **_: object) -> Iterator[Any]:
        for file in self._files:  # group by group: `iter_batches` would hold all of the column
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group, columns=columns, use_threads=False).to_batches()


def evidently(folder: Path) -> Callable[[], Told]:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    def work() -> Told:
        columns = DataDefinition(numerical_columns=NUMERIC, categorical_columns=list(CATEGORIES))
        before, now = (
            Dataset.from_pandas(pd.read_parquet(folder / file), data_definition=columns)
            for file in (REFERENCE, CURRENT)
        )
        found = Report([DataDriftPreset(method="psi")]).run(now, before).dict()
        return {"drifted": _evidently_count(found)}

    return work


def _evidently_count(found: Told) -> int:
    [count] = [m["value"]["count"] for m in found["metrics"] if m["metric_name"].startswith("DriftedColumnsCount")]
    return int(count)


def nannyml(folder: Path) -> Callable[[], Told]:
    """Runs under NannyML's own interpreter."""
    import nannyml as nml  # type: ignore[import-not-found]
    import pandas as pd

    def work() -> Told:
        before, now = (pd.read_parquet(folder / file) for file in (REFERENCE, CURRENT))
        calculator = nml.UnivariateDriftCalculator(
            column_names=[*NUMERIC, *CATEGORIES],
            treat_as_categorical=list(CATEGORIES),
            continuous_methods=["jensen_shannon", "kolmogorov_smirnov", "wasserstein"],
            categorical_methods=["jensen_shannon", "chi2"],
            chunk_number=10,
        )
        found = calculator.fit(before).calculate(now).to_df()
        alerts = found.xs("alert", axis=1, level=-1)
        return {"columns with an alert": int(alerts.any().groupby(level=0).any().sum())}

    return work


STEPS: dict[str, Callable[[Path], Callable[[], Told]]] = {
    step.__name__: step for step in (ours_reference, ours_binned, ours_exact, ours_at_once, evidently, nannyml)
}


# Alarms


def alarms(runs: int, folder: Path) -> None:
    """Shares of windows without drift in which anything fires: ours by counts, the others by rows of the same kind."""
    import numpy as np
    from rich.table import Table

    from lead_scoring_tests.monitoring.drift.null_worlds import alarmed, measure_world

    names = ("rows", "weeks differ", "runs", "ours: alarm", "ours: status", "PSI > 0.2", "chi-square p < 0.05")
    table = Table(title="Windows in which any of 12 features fires although nothing but chance moves")
    for name in names:
        table.add_column(name, justify="right")
    for n in (200, 500, 5_000, 100_000, 1_000_000):
        for wobble in (0.0, 0.02):
            worlds = [measure_world(np.random.default_rng([n, 9, r]), n, wobble_sd=wobble) for r in range(runs)]
            rates = [
                np.mean([any(fires(drift) for drift in world) for world in worlds])
                for fires in (
                    alarmed,
                    lambda drift: drift.status != "ok",
                    lambda drift: drift.psi > 0.2,
                    lambda drift: drift.chi_square_p_value < 0.05,
                )
            ]
            table.add_row(f"{n:,}", f"{wobble:g} sd", str(runs), *(f"{rate:.1%}" for rate in rates))
    _whole(table)
    power = Table(title="Share of windows in which the alarm fires on the one feature of 12 that moved")
    for name in ("rows", "0.1 sd", "0.25 sd", "0.5 sd"):
        power.add_column(name, justify="right")
    for n in (500, 5_000, 100_000):
        cells = [
            np.mean([alarmed(measure_world(np.random.default_rng([n, 8, r]), n, shift=s)[0]) for r in range(runs)])
            for s in (0.1, 0.25, 0.5)
        ]
        power.add_row(f"{n:,}", *(f"{cell:.1%}" for cell in cells))
    _whole(power)
    peers = Table(
        title="The same question to the others, with their defaults, 8 normal and 4 categorical columns: any fires"
    )
    for name in ("who", "rows", "runs", "nothing moved", "one column by 0.25 sd"):
        peers.add_column(name, justify="right")
    for who in ("ours", "evidently", "nannyml"):
        python = nannymls_python(folder) if who == "nannyml" else sys.executable
        if python is None:
            peers.add_row(who, "-", "-", f"{NANNYML[0]} could not be installed", "-")
            continue
        for n in (500, 5_000):
            told = _run(python, f"m['null_runs']({who!r}, {n})", folder)
            found = json.loads(told["told"].strip().splitlines()[-1]) if not told["code"] else None
            cells = [f"{rate:.0%}" for rate in found["rates"]] if found else [told["failed"].splitlines()[-1], "-"]
            peers.add_row(who, f"{n:,}", str(_PEER_RUNS), *cells)
    _whole(peers)


_PEER_RUNS = 25


def null_runs(who: str, n: int) -> None:
    """Print the share of `_PEER_RUNS` windows in which `who` calls any column drifted: without drift, and where `x0` moved."""
    import numpy as np
    import pandas as pd

    fires = {"ours": _ours_fires, "evidently": _evidently_fires, "nannyml": _nannyml_fires}[who]
    found = []
    for run in range(_PEER_RUNS):
        rng = np.random.default_rng([n, run])
        before, now = (
            pd.DataFrame(
                {name: rng.normal(size=n) for name in NUMERIC}
                | {name: rng.choice([f"level {i}" for i in range(k)], n) for name, k in CATEGORIES.items()}
            )
            for _ in range(2)
        )
        found.append((fires(before, now), fires(before, now.assign(x0=now["x0"] + 0.25))))
    print(json.dumps({"rates": np.mean(found, axis=0).tolist()}))


def _ours_fires(before: Any, now: Any) -> bool:
    from lead_scoring_assets.monitoring.drift.measure import measure_drift
    from lead_scoring_assets.monitoring.drift.reference import build_reference
    from lead_scoring_tests.monitoring.drift.null_worlds import alarmed

    return any(alarmed(drift) for drift in measure_drift(build_reference(before, NUMERIC, list(CATEGORIES)), now))


def _evidently_fires(before: Any, now: Any) -> bool:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    columns = DataDefinition(numerical_columns=NUMERIC, categorical_columns=list(CATEGORIES))
    windows = [Dataset.from_pandas(frame, data_definition=columns) for frame in (now, before)]
    return _evidently_count(Report([DataDriftPreset()]).run(*windows).dict()) > 0


def _nannyml_fires(before: Any, now: Any) -> bool:
    """Its thresholds come from ten chunks of the reference; the window is ten chunks more."""
    import nannyml as nml

    calculator = nml.UnivariateDriftCalculator(
        column_names=[*NUMERIC, *CATEGORIES], treat_as_categorical=list(CATEGORIES), chunk_number=10
    )
    found = calculator.fit(before).calculate(now).filter(period="analysis").to_df()
    return bool(found.xs("alert", axis=1, level=-1).to_numpy().any())


# Measuring


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--reference-rows", type=int, help="rows of the reference (default: as many)")
    parser.add_argument("--below", type=Path, help="folder for the working files (default: the system's temporary one)")
    parser.add_argument("--only", nargs="*", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--alarms", action="store_true", help="false alarms and power instead of costs")
    parser.add_argument("--runs", type=int, default=300, help="simulated windows for each row of the alarms' table")
    asked = parser.parse_args()
    from rich.console import Console
    from rich.table import Table

    with tempfile.TemporaryDirectory(dir=asked.below) as name:
        folder = Path(name)
        if asked.alarms:
            alarms(asked.runs, folder)
            return
        console = Console(stderr=True)
        reference_rows = asked.reference_rows or asked.rows
        title = f"{asked.rows:,} rows against {reference_rows:,}, 8 numeric and 4 categorical columns (SIMULATED)"
        table = Table(title=title)
        for column in ("step", "CPU s", "fixed", "work", "peak MB", "fixed", "work", "gave"):
            table.add_column(column, justify="left" if column in ("step", "gave") else "right")
        console.print("generating")
        generate(folder, reference_rows, asked.rows)
        for step in asked.only:
            console.print(step)
            table.add_row(step, *measure(step, folder))
    _whole(table)


def measure(step: str, folder: Path) -> tuple[str, ...]:
    """One step as a process of its own."""
    python = nannymls_python(folder) if step == "nannyml" else sys.executable
    if python is None:
        return "-", "-", "-", "-", "-", "-", f"{NANNYML[0]} could not be installed"
    found = [
        _run(python, f"m['run_step']({step!r}, {str(folder)!r})", folder)
        for _ in range(3 if step.startswith("ours") else 1)
    ]
    if failed := [each for each in found if each["code"]]:
        return "-", "-", "-", "-", "-", "-", failed[0]["failed"].splitlines()[-1]
    median = sorted(found, key=lambda each: each["cpu"])[len(found) // 2]
    told = json.loads(median["told"].strip().splitlines()[-1])
    cpu, work, peak, fixed = median["cpu"], told.pop("cpu_s"), median["peak"], told.pop("fixed_mb")
    return (
        *(f"{seconds:.2f}" for seconds in (cpu, cpu - work, work)),
        *(f"{megabytes:,.0f}" for megabytes in (peak, fixed, peak - fixed)),
        json.dumps(told),
    )


def _run(python: str, call: str, folder: Path) -> Told:
    """Below a small parent, so that its peak is not an earlier step's."""
    program = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps({'cpu': used.ru_utime + used.ru_stime, 'peak': used.ru_maxrss / 1024,\n"
        "                  'code': done.returncode, 'told': done.stdout[-2000:], 'failed': done.stderr[-2000:]}))\n"
    )
    work = f"import runpy; m = runpy.run_path({__file__!r}, run_name='step'); {call}"
    started = [sys.executable, "-c", program, python, "-W", "ignore", "-c", work]
    # CPU seconds are compared, and threads cost some; and NannyML would tell its makers.
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
    done = subprocess.run(started, capture_output=True, text=True, check=True, cwd=folder, env=quiet)
    found: Told = json.loads(done.stdout)
    return found


def run_step(step: str, folder: str) -> None:
    work = STEPS[step](Path(folder))
    if step.startswith("ours"):
        import pyarrow.parquet  # noqa: F401
        import scipy.special  # noqa: F401
    fixed, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.process_time()
    told = work()
    print(json.dumps({**told, "cpu_s": time.process_time() - begin, "fixed_mb": fixed}))


def nannymls_python(folder: Path) -> str | None:
    """An interpreter with NannyML, installed for this run alone; None where that is not possible."""
    home = folder / "nannyml-environment"
    if not home.exists():
        uv = [sys.executable, "-m", "uv"]
        made = subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(home)], check=False)
        python = str(home / "bin" / "python")
        installed = subprocess.run([*uv, "pip", "install", "-q", "--python", python, *NANNYML], check=False)
        if made.returncode or installed.returncode:
            shutil.rmtree(home, ignore_errors=True)
            return None
    return str(home / "bin" / "python")


if __name__ == "__main__":
    main()
