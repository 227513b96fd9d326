"""The counts as Prometheus reads them, over all workers."""

from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from lead_scoring_assets.serving.counts import Totals
from lead_scoring_assets.serving.following import Live

_STATES = {"closed": 0, "half_open": 1, "open": 2}


class _Served(Collector):
    def __init__(
        self, folder: Path, live: Callable[[], Live | None], model_age_seconds: Callable[[], float | None]
    ) -> None:
        self._folder = folder
        self._live = live
        self._model_age_seconds = model_age_seconds

    def collect(self) -> Iterable[Metric]:
        totals = Totals(self._folder)
        requests = CounterMetricFamily(
            "lead_scoring_requests", "Requests answered, by all workers.", labels=["endpoint", "status"]
        )
        for endpoint, status, count in totals.requests():
            requests.add_metric([endpoint, status], count)
        yield requests
        latencies = HistogramMetricFamily(
            "lead_scoring_request_seconds", "From the request's arrival to its answer.", labels=["endpoint"]
        )
        for endpoint, bins, seconds in totals.latencies():
            latencies.add_metric([endpoint], bins, seconds)
        yield latencies
        leads = CounterMetricFamily("lead_scoring_leads", "Leads scored, by what scored them.", labels=["source"])
        for source, count in totals.sources():
            leads.add_metric([source], count)
        yield leads
        shadows = CounterMetricFamily("lead_scoring_shadow", "What became of leads in the shadow.", labels=["outcome"])
        for outcome, count in totals.shadows():
            shadows.add_metric([outcome], count)
        yield shadows
        yield from self._of_this_worker()

    def _of_this_worker(self) -> Iterable[Metric]:
        live = self._live()
        version = GaugeMetricFamily("lead_scoring_model_version", "The version that is live; 0 while there is none.")
        version.add_metric([], 0 if live is None else live.champion.version)
        yield version
        if live is not None:
            state = GaugeMetricFamily(
                "lead_scoring_breaker", "This worker's circuit breaker: 0 closed, 1 half open, 2 open."
            )
            state.add_metric([], _STATES[live.champion.breaker.state])
            yield state
        age = self._model_age_seconds()
        if age is not None:
            told = GaugeMetricFamily("lead_scoring_model_age_seconds", "Since the last label that the model has seen.")
            told.add_metric([], age)
            yield told


class Metrics:
    """Prometheus' text for one installation."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(
        self, folder: Path, live: Callable[[], Live | None], model_age_seconds: Callable[[], float | None]
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Served(folder, live, model_age_seconds))

    def text(self) -> bytes:
        return generate_latest(self._registry)
