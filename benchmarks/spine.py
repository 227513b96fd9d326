"""What the loop costs: setting up, all months through every asset, one more month, and opening the UI. Prints a table.

Run it with `make benchmark`. Every step is a whole process, as a person starts it, in a home of its own below a temporary
folder. Wall and CPU seconds, and the largest resident memory of any process of the step. Nothing is asserted: machines differ.
"""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[1]
VERB = str(Path(sys.executable).with_name("lead-scoring"))
LAST = "2010-10"
PORT, PAGES = 3991, 3992


def main() -> None:
    table = Table(title="Cost of the loop on the bank data, two README commands apart")
    for name in ("step", "wall s", "CPU s", "peak MB"):
        table.add_column(name, justify="left" if name == "step" else "right")
    console = Console(stderr=True)
    console.print("make setup, in a clone of its own")
    table.add_row("make setup: the locked environment, in a fresh clone", *measure_setup())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        for file in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(REPOSITORY / file, home / file)
        text = (REPOSITORY / "lead_scoring.yaml").read_text(encoding="utf-8").replace("port: 3070", f"port: {PAGES}")
        settings = re.sub(r"history_until: \S+", f"history_until: {LAST}", text)
        (home / "lead_scoring.yaml").write_text(settings, encoding="utf-8")
        months = (2010 - 2008) * 12 + 10 - 5 + 1
        for step, words in (
            ("prepare: fetch, verify, land, model store", ["prepare"]),
            (f"materialize: {months} months, every asset and check", ["materialize"]),
            ("arrive: the next month lands", ["arrive"]),
            ("materialize: one month more", ["materialize"]),
            ("materialize: nothing to do", ["materialize"]),
            ("status", ["status"]),
        ):
            console.print(step)
            table.add_row(step, *measure(home, words))
        console.print("start: until the UI answers")
        table.add_row("start: until the UI answers", *measure_start(home))
    Console().print(table)


def measure_setup() -> tuple[str, str, str]:
    """Faster where the packages were fetched before; that cache is left as it is."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        return _measured(clone, dict(os.environ), ["make", "setup", f"PYTHON={sys._base_executable}"])


def measure(home: Path, words: list[str]) -> tuple[str, str, str]:
    return _measured(home, surroundings(home), [VERB, *words])


def _measured(folder: Path, env: dict[str, str], command: list[str]) -> tuple[str, str, str]:
    """One command as a process of its own, below a small parent, so that its peak is not an earlier step's."""
    program = (
        "import json, resource, subprocess, sys, time\n"
        "begin = time.perf_counter()\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss, code]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command], cwd=folder, env=env, capture_output=True, check=True
    )
    wall, cpu, peak_kb, code = (float(value) for value in done.stdout.decode().strip("[]\n ").split(","))
    if code:
        sys.exit(f"{' '.join(command)} ended with {code:.0f}; run it by hand to see why")
    return f"{wall:.1f}", f"{cpu:.1f}", f"{peak_kb / 1024:,.0f}"


def measure_start(home: Path) -> tuple[str, str, str]:
    """From the command to the webserver's first answer; memory of all its processes together, once it has answered."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    product = subprocess.Popen(
        [VERB, "start", "--port", str(PORT)], cwd=home, env=surroundings(home), stderr=subprocess.DEVNULL
    )
    while time.perf_counter() - begin < 120:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/server_info", timeout=1):
                break
        except OSError:
            time.sleep(0.1)
    wall = time.perf_counter() - begin
    memory_kb = sum(map(_resident_kb, _family(product.pid)))
    product.send_signal(signal.SIGTERM)
    product.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{wall:.1f}", f"{cpu:.1f}", f"{memory_kb / 1024:,.0f}" if memory_kb else "not on this system"


def _family(pid: int) -> list[int]:
    """A process and everything below it (Linux: /proc; elsewhere the process alone)."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in listed.read_text().split()] if listed.is_file() else []
    return [pid, *(member for child in children for member in _family(child))]


def _resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.is_file() else None
    return int(found[1]) if found else 0


def surroundings(home: Path) -> dict[str, str]:
    mirror = REPOSITORY.parent / "shared" / "data"
    named = os.environ.get("LEAD_SCORING_MIRROR") or (str(mirror) if mirror.is_dir() else "")
    plain = {**os.environ, "LEAD_SCORING_HOME": str(home), "DAGSTER_HOME": str(home)}
    return {**plain, "LEAD_SCORING_MIRROR": named} if named else plain


if __name__ == "__main__":
    main()
