"""Where Kafka's brokers are and who asks them, as one text that an environment variable holds."""

import re
from collections.abc import Mapping

from lead_scoring_assets.errors import PredictionLogError

_TAKEN = re.compile(r"bootstrap\.servers|security\.protocol|client\.id|(sasl|ssl)\.[a-z.]+")
_SECRET = re.compile("password|secret|key|token|config|pem")


def settings_of(address: str) -> dict[str, str]:
    """librdkafka's settings from an address.

    Raises:
        PredictionLogError: one has no value, or is none of those that say where the brokers are and who asks.
    """
    settings = {}
    for part in filter(None, map(str.strip, address.split(";"))):
        name, is_named, value = part.partition("=")
        if not is_named:
            name, value = "bootstrap.servers", part
        if not _TAKEN.fullmatch(name) or not value:
            # Never the value, which may be a password.
            raise PredictionLogError(
                f"the brokers' address names the setting {name!r}, expected bootstrap.servers, security.protocol, client.id, or "
                "one that begins with sasl. or ssl., each with its value behind `=` and a semicolon between them."
            )
        settings[name] = value
    if "bootstrap.servers" not in settings:
        raise PredictionLogError(
            "the brokers' address names no broker, expected such as broker:9092 or bootstrap.servers=…"
        )
    return settings


def without_secrets(told: str, settings: Mapping[str, str]) -> str:
    """A text in which librdkafka may have repeated what it was set to."""
    for name, value in settings.items():
        if _SECRET.search(name):
            told = told.replace(value, "***")
    return told
