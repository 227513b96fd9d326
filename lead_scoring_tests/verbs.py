"""Verbs in processes of their own that need not import the libraries again: each is forked from one that has, and that has
done nothing else. Nothing of ours that reads a home's settings is imported before the fork."""

import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_IMPORTED_ONCE = (
    "alembic.config",
    "dagster",
    "deltalake",
    "duckdb",
    "git",
    "lightgbm",
    "mlflow.pyfunc",
    "mlflow.xgboost",
    "optuna",
    "pandas",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "rich.progress",
    "scipy.stats",
    "sklearn.isotonic",
    "sklearn.linear_model",
    "xgboost",
    "lead_scoring_assets.cli",
)


class Verbs:
    """The process that verbs are forked from; it ends with the one that asked first, because its input then closes."""

    def __init__(self) -> None:
        self._forking: subprocess.Popen[str] | None = None

    def run(
        self, home: Path, words: Sequence[str], environment: Mapping[str, str], first: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """`lead-scoring <words>` in `home`, to its end; `first`: Python that its process runs before."""
        with TemporaryDirectory() as told:
            asked = {
                "home": str(home),
                "words": words,
                "environment": dict(environment),
                "first": first,
                "out": f"{told}/out",
                "err": f"{told}/err",
            }
            ended = self._ask(json.dumps(asked), environment)
            out, err = (Path(asked[name]).read_text(encoding="utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess(["lead-scoring", *words], ended, out, err)

    def end(self) -> None:
        if self._forking is not None:
            self._forking.communicate()

    def _ask(self, line: str, environment: Mapping[str, str]) -> int:
        if self._forking is None:
            pipe = subprocess.PIPE
            # Not with the tests' folder among those that modules are looked for in.
            words = [sys.executable, "-P", __file__]
            self._forking = subprocess.Popen(words, env=environment, stdin=pipe, stdout=pipe, text=True)
        assert self._forking.stdin is not None
        assert self._forking.stdout is not None
        self._forking.stdin.write(f"{line}\n")
        self._forking.stdin.flush()
        told = self._forking.stdout.readline()
        assert told, "the process that verbs are forked from has ended"
        return int(told)


def _become(asked: dict[str, Any]) -> None:
    """What a shell does before the first line of a program."""
    os.chdir(asked["home"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    out, err = (os.open(asked[name], os.O_CREAT | os.O_WRONLY | os.O_APPEND) for name in ("out", "err"))
    for new, old in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(new, old)
        os.close(new)
    sys.argv = ["lead-scoring", *asked["words"]]


def _fork_verbs() -> None:
    for library in _IMPORTED_ONCE:
        importlib.import_module(library)
    assert "lead_scoring_assets.partitions" not in sys.modules, "it reads a home's settings"
    gc.freeze()
    for line in sys.stdin:
        if (verb := os.fork()) == 0:
            from lead_scoring_assets.cli import main

            asked = json.loads(line)
            _become(asked)
            exec(asked["first"], {})
            sys.exit(main())
        _, status = os.waitpid(verb, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    _fork_verbs()
