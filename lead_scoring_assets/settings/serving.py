"""The scoring API: where it listens, what it keeps, and how much it takes."""

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lead_scoring_assets.settings.values import Amount, Count, Section

_Name = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class ServingLog(Section):
    """The prediction log. `secret` names the environment variable that holds the address of PostgreSQL, or of Kafka's brokers;
    never the address. Installations that share brokers have a `topic` each."""

    mode: Literal["write", "strict"] = "write"
    segment_bytes: Annotated[int, Field(ge=4_096, strict=True)] = 64 << 20
    sink: Literal["files", "postgresql", "kafka"] = "files"
    secret: _Name = "LEAD_SCORING_LOG_DSN"  # noqa: S105  # a variable's name
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$")] = (
        "lead-scoring-predictions"  # in Kafka
    )
    ingest_every_seconds: Count = 60  # at most so often into the lakehouse
    keep_hours: Count = 24  # a segment that is in the lakehouse


class ShadowQueue(Section):
    """How many answered leads may wait in the log for the shadow, of all workers together (of more the oldest are recorded as
    dropped), and how long it may take for one."""

    queue: Count = 10_000
    timeout_ms: Amount = 200.0


class Limits(Section):
    """What is more is refused: 413 for size, 429 for rate, 408 for slowness."""

    body_bytes: Count = 65_536
    batch_body_bytes: Count = 5 << 20
    batch_leads: Count = 1_000
    requests_per_second: Amount | None = None  # of each key, in each worker; null: as many as there are
    burst: Count = 100  # so many at once before the rate counts
    request_seconds: Amount = 10.0  # for all of a request to arrive


class Breaker(Section):
    """When the model is left alone for a while and a plain rule answers in its place."""

    failures: Count = 5
    of_last: Count = 20
    open_seconds: Amount = 10.0
    timeout_ms: Amount = 50.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.failures > self.of_last:
            raise ValueError(f"failures ({self.failures}) of the last {self.of_last} calls can never be reached")
        return self


class Serving(Section):
    """One installation's API. Elsewhere than on loopback it asks for keys (`lead-scoring keys`)."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535, strict=True)
    workers: Annotated[int, Field(ge=1, le=64, strict=True)] = 1
    log: ServingLog = ServingLog()
    shadow: ShadowQueue = ShadowQueue()
    limits: Limits = Limits()
    breaker: Breaker = Breaker()

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @model_validator(mode="after")
    def _address(self) -> Self:
        if self.host != "localhost":
            try:
                ipaddress.ip_address(self.host)
            except ValueError:
                raise ValueError(f"host must be an address such as 127.0.0.1 or 0.0.0.0, found {self.host!r}") from None
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
