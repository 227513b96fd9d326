"""Where this installation's prediction log is read, and sent to, as its settings say."""

import contextlib
from collections.abc import Iterator

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log.segments import LogFolder, LogSource


def log_folder(installation: Installation) -> LogFolder:
    """The segments that the API of this machine writes."""
    return LogFolder(installation.home.serving / "log")


def open_source(installation: Installation) -> LogSource:
    """The folder of this machine, or PostgreSQL, to which several machines send theirs.

    Raises:
        PredictionLogError: PostgreSQL is named, and its library or its address is missing.
    """
    if installation.settings.serving.log.sink == "files":
        return log_folder(installation)
    from lead_scoring_assets.prediction_log.postgresql import PostgresLog

    return PostgresLog.of(installation.settings.serving.log)


@contextlib.contextmanager
def forwarding(installation: Installation) -> Iterator[None]:
    """While the API runs, send its log to PostgreSQL where the settings say so; at the end what is left.

    Raises:
        PredictionLogError: as `open_source`. That the database is down is none: it is tried again.
    """
    if installation.settings.serving.log.sink == "files":
        yield
        return
    from lead_scoring_assets.prediction_log.postgresql import Forwarder, PostgresLog

    forwarder = Forwarder(PostgresLog.of(installation.settings.serving.log), log_folder(installation))
    forwarder.start()
    try:
        yield
    finally:
        forwarder.stop()
