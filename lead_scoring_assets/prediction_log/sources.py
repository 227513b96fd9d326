"""Where this installation's prediction log is read, and sent to, as its settings say."""

import contextlib
from collections.abc import Iterator

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log.forwarding import Forwarder, SharedLog
from lead_scoring_assets.prediction_log.segments import LogFolder, LogSource


def log_folder(installation: Installation) -> LogFolder:
    """The segments that the API of this machine writes."""
    return LogFolder(installation.home.serving / "log")


def open_source(installation: Installation) -> LogSource:
    """The folder of this machine, or PostgreSQL or Kafka, to which several machines send theirs.

    Raises:
        PredictionLogError: PostgreSQL or Kafka is named, and its library or its address is missing.
    """
    return _shared_log(installation) or log_folder(installation)


@contextlib.contextmanager
def forwarding(installation: Installation) -> Iterator[None]:
    """While the API runs, send its log to where the settings say; at the end what is left.

    Raises:
        PredictionLogError: as `open_source`. That the other side is down is none: it is tried again.
    """
    shared = _shared_log(installation)
    if shared is None:
        yield
        return
    forwarder = Forwarder(shared, log_folder(installation))
    forwarder.start()
    try:
        yield
    finally:
        forwarder.stop()


def _shared_log(installation: Installation) -> SharedLog | None:
    """Each needs a library that others do without."""
    settings = installation.settings.serving.log
    if settings.sink == "postgresql":
        from lead_scoring_assets.prediction_log.postgresql import PostgresLog

        return PostgresLog.of(settings)
    if settings.sink == "kafka":
        from lead_scoring_assets.prediction_log.kafka import KafkaLog

        return KafkaLog.of(settings, installation.home.serving / "kafka.sqlite")
    return None
