"""Reaching MLflow's store: in seconds, or a refusal in one sentence. What is asked of it stands in `registry.py`."""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from lead_scoring_assets.errors import RegistryError
from lead_scoring_assets.files import told_of_the_disk

# MLflow's own are 7 attempts of 120 s with growing pauses: a server that is gone would hold a run up for a quarter of an hour.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class Store(Protocol):
    """What is kept in MLflow's store: where that is, and which folder is written."""

    @property
    def tracking_uri(self) -> str: ...

    @property
    def folder(self) -> Path: ...


_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")
_Store = TypeVar("_Store", bound=Store)


def be_patient_for_seconds() -> None:
    """Limit how long MLflow tries to reach a server; who has set MLflow's own variables knows better."""
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    # What it would print with its whole traceback is told in one sentence by who asked.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def refuse_damaged(file: Path) -> None:
    """Refuse a SQLite store that cannot be opened or is no database, before MLflow tries to open it for two minutes.

    Raises:
        RegistryError: so it is.
    """
    if not file.parent.exists():
        return  # nobody has made it: MLflow makes one
    try:
        with closing(sqlite3.connect(file)) as store:
            store.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as problem:
        raise _refusal(str(file), str(problem)) from problem


@contextmanager
def reaching(tracking_uri: str) -> Iterator[None]:
    """What MLflow's store refuses in here is told in one sentence.

    Raises:
        RegistryError: in place of MLflow's and SQLAlchemy's errors.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as problem:
        raise _refusal(tracking_uri, str(problem)) from problem


def asks_the_store(
    method: Callable[Concatenate[_Store, _Asked], _Answer],
) -> Callable[Concatenate[_Store, _Asked], _Answer]:
    """A method that asks the store: what that refuses, or the disk below it, is told in one sentence."""

    @wraps(method)
    def told(store: _Store, /, *args: _Asked.args, **options: _Asked.kwargs) -> _Answer:
        with reaching(store.tracking_uri), told_of_the_disk(store.folder):
            return method(store, *args, **options)

    return told


def _refusal(address: str, problem: str) -> RegistryError:
    parts = urlsplit(address)
    # A password in an address is not for logs.
    shown = address.replace(parts.netloc, parts.netloc.rpartition("@")[2]) if "@" in parts.netloc else address
    lines = problem.replace(address, shown).strip().splitlines()
    # SQLAlchemy's advice to programmers stands before what the database said.
    said = [line for line in lines if not line.startswith("(raised as a result of")] or ["no reason given"]
    return RegistryError(
        f"the model registry (MLflow) at {shown} cannot be used: expected a store that answers, found: {said[0]}. What is "
        "live stays live; start the server, mend `mlflow.tracking_uri` or restore the store from a backup, then "
        "materialise again."
    )
