"""What answering one lead costs: our API, and the same model behind the usual servers, all up at once, in turns.

    .venv/bin/python benchmarks/serving.py                                    needs wrk (Debian: apt-get install wrk)
    .venv/bin/python benchmarks/serving.py --one-core                         everything on one core, wrk too
    .venv/bin/python benchmarks/serving.py --bento /path/to/venv/bin/python   BentoML from an environment of its own as well

One XGBoost model (200 trees of depth 6, 20 features: 12 numbers, 8 categories; SIMULATED leads). Every server runs one worker
on loopback and answers the same body. A round gives each server its turn, at 1 and at 16 connections; told are medians over
rounds: requests a second, p50 and p99, and CPU µs of the server a request, from /proc. Nothing is asserted about time: machines
differ, and load on them more.

- floor: the thinnest ASGI application under the same uvicorn: reads the body, answers a constant.
- ours: keys' check, validation, routing, breaker, score, log, metrics. `shadow`: a second model scores every lead beside it, in
  a process of its own: its CPU counts too, until it is done with the turn's leads.
- fastapi_pyfunc: FastAPI, `mlflow.pyfunc` and a DataFrame for each request, as MLflow's and FastAPI's documentation has it.
- mlflow_serve: `mlflow models serve`.
- bento: BentoML with the booster itself.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

NUMBERS, CATEGORIES = 12, 8
TREES, DEPTH = 200, 6
_SETTINGS = """
name: benchmark
clock: system
crm: own
periods: {cadence: month, start: 2024-01-01, end: 2025-01-01}
serving: {breaker: {failures: 5, of_last: 20, open_seconds: 10.0, timeout_ms: 10000.0}, shadow: {queue: 1000000}}
columns:
"""
_FLOOR = """
async def app(scope, receive, send):
    await receive()
    body = b'{"lead_id":"lead-1","lead_score":0.1234,"score_bucket":"Cold","model_version":"v1"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
_PYFUNC = """
import mlflow.pyfunc, pandas as pd
from fastapi import FastAPI
model = mlflow.pyfunc.load_model(__import__("os").environ["MODEL"])
app = FastAPI()

@app.post("/predict")
def predict(lead: dict):
    name = lead.pop("lead_id")
    return {"lead_id": name, "lead_score": float(model.predict(pd.DataFrame([lead]))[0])}
"""
_BENTO = """
import os
import bentoml, numpy as np, xgboost

@bentoml.service(workers=1, traffic={"timeout": 30})
class Leads:
    def __init__(self):
        self.booster = xgboost.Booster(params={"nthread": 1}, model_file=os.environ["BOOSTER"])

    @bentoml.api
    def predict(self, row: list[float]) -> float:
        matrix = xgboost.DMatrix(np.array([row], np.float32), feature_types=self.booster.feature_types, nthread=1)
        return float(self.booster.predict(matrix)[0])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--one-core", action="store_true", help="servers and wrk share a core: nobody waits for another to wake"
    )
    parser.add_argument("--bento", type=Path, help="an interpreter that has bentoml and xgboost")
    told = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not there: expected it on the path, as Debian's package wrk brings it.")
    if told.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        bench(Path(folder), told.seconds, told.rounds, told.bento)


def bench(folder: Path, seconds: float, rounds: int, bento: Path | None) -> None:
    lead, row = make(folder)
    sides: dict[str, tuple[subprocess.Popen[bytes], str, bytes]] = {}
    body = json.dumps(lead).encode()
    frame = json.dumps({"dataframe_records": [{k: v for k, v in lead.items() if k != "lead_id"}]}).encode()
    python, files = sys.executable, {"floor.py": _FLOOR, "pyfunc.py": _PYFUNC, "bento.py": _BENTO}
    for name, content in files.items():
        (folder / name).write_text(content)
    environment = {
        **os.environ,
        "MODEL": str(folder / "mlflow_model"),
        "BOOSTER": str(folder / "ours/data/v1/model.ubj"),
    }
    # `mlflow models serve` starts whatever uvicorn is on the path.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])

    def start(name: str, command: list[str], path: str, sent: bytes) -> None:
        log = (folder / f"{name}.log").open("wb")
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        address = f"http://127.0.0.1:{ports[name]}"
        sides[name] = (process, address + path, sent)
        wait(name, process, address + path, sent, folder)

    ports = {name: free_port() for name in ("floor", "ours", "shadow", "fastapi_pyfunc", "mlflow_serve", "bento")}
    uvicorn = ["-m", "uvicorn", "--log-level", "error", "--no-access-log", "--app-dir", str(folder)]
    try:
        start("floor", [python, *uvicorn, "--port", str(ports["floor"]), "floor:app"], "/", body)
        for name in ("ours", "shadow"):
            start(name, [python, __file__, "--serve", str(folder / name), str(ports[name])], "/predict", body)
        start(
            "fastapi_pyfunc",
            [python, *uvicorn, "--port", str(ports["fastapi_pyfunc"]), "pyfunc:app"], "/predict", body,
        )  # fmt: skip
        mlflow = [
            python,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            str(folder / "mlflow_model"),
            "--env-manager",
            "local",
        ]
        start("mlflow_serve", [*mlflow, "-p", str(ports["mlflow_serve"]), "-w", "1"], "/invocations", frame)
        if bento is not None:
            serve = [str(bento), "-m", "bentoml", "serve", "bento:Leads", "--port", str(ports["bento"])]
            start("bento", serve, "/predict", json.dumps({"row": row}).encode())
        found: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(rounds):
            for name, (process, address, sent) in sides.items():
                for connections in (1, 16):
                    found.setdefault((name, connections), []).append(
                        turn(folder, process.pid, address, sent, connections, seconds, has_shadow=name == "shadow")
                    )
        report(found)
        shadowed(folder / "shadow")
        explanation(sides["ours"][1].replace("/predict", "/explain-prediction"), body)
    finally:
        for process, _, _ in sides.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process, _, _ in sides.values():
            process.wait(30)


def make(folder: Path) -> tuple[dict[str, Any], list[float]]:
    """Two homes with the model (in the second a challenger is the shadow), MLflow's folder of it, and a lead."""
    from datetime import UTC, datetime

    import mlflow
    import numpy as np
    import pandas as pd

    from lead_scoring_assets.models.bundle import save_bundle
    from lead_scoring_assets.models.calibration import identity
    from lead_scoring_assets.models.encoder import Encoder
    from lead_scoring_assets.models.learners import fit
    from lead_scoring_assets.models.recipe import Recipe
    from lead_scoring_assets.rollout.traffic import Traffic
    from lead_scoring_assets.serving.deployment_file import FILE, DeploymentFile, ServedModel

    rng, n = np.random.default_rng(0), 20_000
    kinds = ["red", "green", "blue", "grey", "black", "white"]
    frame = pd.DataFrame({f"number_{i}": rng.normal(size=n).round(3) for i in range(NUMBERS)})
    for i in range(CATEGORIES):
        frame[f"kind_{i}"] = rng.choice(kinds, n)
    odds = frame["number_0"] + frame["number_1"] * frame["number_2"] + (frame["kind_0"] == "red") - 2
    labels = (rng.random(n) < 1 / (1 + np.exp(-odds))).to_numpy().astype(float)
    encoder = Encoder(tuple(frame.columns[:NUMBERS]), {name: tuple(kinds) for name in frame.columns[NUMBERS:]})
    columns = [
        f'  {name}: {{kind: {"number" if name in encoder.numeric else "category"}, role: feature, why: "simulated"'
        + ("" if name in encoder.numeric else f", categories: {kinds}") + "}"
        for name in frame.columns
    ]  # fmt: skip
    for home, challenger in (("ours", None), ("shadow", 2)):
        (folder / home / "data").mkdir(parents=True)
        (folder / home / "lead_scoring.yaml").write_text(_SETTINGS + "\n".join(columns))
        models = {}
        for version in (1, 2):
            recipe = Recipe("xgboost", {"rounds": TREES, "max_depth": DEPTH, "eta": 0.1 / version}, "none", version)
            learner = fit(recipe, encoder.encode(frame), labels, encoder.feature_types)
            fingerprint = save_bundle(
                folder / home / "data" / f"v{version}", learner, recipe, identity(), encoder, frame.head(500)
            )
            models[version] = ServedModel(version, f"v{version}", fingerprint)
        now = datetime(2024, 6, 1, tzinfo=UTC)
        DeploymentFile(
            0, now, models[1], models[challenger] if challenger else None,
            Traffic("shadow" if challenger else "champion_only"), now, now, 0.1,
        ).write(folder / home / "data" / "serving" / FILE)  # fmt: skip
    mlflow.pyfunc.save_model(
        folder / "mlflow_model", loader_module="lead_scoring_assets.models.bundle", data_path=folder / "ours/data/v1",
        pip_requirements=[],
    )  # fmt: skip
    lead = {"lead_id": "lead-1", **frame.iloc[0].to_dict()}
    return lead, encoder.encode(frame.head(1))[0].tolist()


def serve(home: Path, port: int) -> None:
    """One worker of ours and the shadow's process, looked after as `lead-scoring serve` does it, until SIGTERM."""
    from lead_scoring_assets.serving.processes import Processes

    is_over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_over.set())
    with socket.create_server(("127.0.0.1", port), backlog=2_048) as held:
        group = Processes(str(home), held, 1, print, may_be_open=True)
        while not is_over.wait(0.05):
            group.look(time.monotonic())
        group.end()


def wait(name: str, process: "subprocess.Popen[bytes]", address: str, sent: bytes, folder: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            asked = urllib.request.Request(address, sent, {"content-type": "application/json"})
            with urllib.request.urlopen(asked, timeout=10):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    sys.exit(f"{name} does not answer: {(folder / f'{name}.log').read_text()[-2_000:]}")


def turn(
    folder: Path, server: int, address: str, sent: bytes, connections: int, seconds: float, *, has_shadow: bool
) -> dict[str, float]:
    """One turn of wrk."""
    script = folder / "post.lua"
    quoted = sent.decode().replace("\\", "\\\\").replace("'", "\\'")
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = '{quoted}'\nwrk.headers['Content-Type'] = 'application/json'\n"
        "done = function(s, l, r) io.write(string.format('FOUND %d %d %d %d %d\\n', s.requests, s.duration, "
        "l:percentile(50), l:percentile(99), s.errors.status + s.errors.read + s.errors.connect + s.errors.timeout)) end\n"
    )
    before = cpu_seconds(server)
    told = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), address],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    found = re.search(r"FOUND (\d+) (\d+) (\d+) (\d+) (\d+)", told)
    assert found, told
    asked, duration, p50, p99, errors = map(int, found.groups())
    if has_shadow:
        wait_for_the_shadow(address.replace("/predict", "/health"))
    return {
        "requests a second": asked / duration * 1e6,
        "p50 µs": p50,
        "p99 µs": p99,
        "CPU µs": (cpu_seconds(server) - before) / max(1, asked) * 1e6,
        "errors": errors,
    }


def wait_for_the_shadow(health: str) -> None:
    """Until no lead waits for it."""
    waiting = 1
    while waiting:
        time.sleep(0.2)
        with urllib.request.urlopen(health, timeout=10) as answer:
            waiting = json.loads(answer.read())["shadow_waiting"]


def cpu_seconds(first: int) -> float:
    """Of a process and all that it started, and they: some servers give their workers a group of their own."""
    ticks: dict[int, int] = {}
    started: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        ticks[number] = int(fields[11]) + int(fields[12])
        started.setdefault(int(fields[1]), []).append(number)
    total, waiting = 0, [first]
    while waiting:
        number = waiting.pop()
        total += ticks.get(number, 0)
        waiting += started.get(number, [])
    return total / os.sysconf("SC_CLK_TCK")


def report(found: dict[tuple[str, int], list[dict[str, float]]]) -> None:
    print(f"{'side':16}{'connections':>12}{'req/s':>10}{'p50 µs':>10}{'p99 µs':>10}{'CPU µs':>10}{'errors':>8}")
    for (name, connections), turns in found.items():
        values = [statistics.median(turn[key] for turn in turns) for key in turns[0]]
        told = "".join(f"{value:>10,.0f}" for value in values[:4])
        print(f"{name:16}{connections:>12}{told}{values[4]:>8,.0f}")


def shadowed(home: Path) -> None:
    from lead_scoring_assets.serving.counts import Totals

    found = Totals(home / "data" / "serving" / "counts").shadows()
    print(f"the shadow's leads: {', '.join(f'{count:,} {outcome}' for outcome, count in found if count)}")


def explanation(address: str, sent: bytes) -> None:
    told = urllib.parse.urlsplit(address)
    took = []
    with contextlib.closing(http.client.HTTPConnection(told.netloc, timeout=60)) as connection:
        for _ in range(201):
            started = time.perf_counter()
            connection.request("POST", told.path, sent, {"content-type": "application/json"})
            connection.getresponse().read()
            took.append(time.perf_counter() - started)
    print(f"one explanation: first {took[0] * 1e3:,.1f} ms, then p50 {statistics.median(took[1:]) * 1e3:.2f} ms")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
