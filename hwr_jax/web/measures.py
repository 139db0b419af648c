"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
PICTURES = (1, 2, 4, 8, 16, 32, 64)


class Measures:
    """The counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self._requests = Counter("hwr_requests_total", "Requests answered.", ["route", "status"], registry=own)
        self._seconds = Histogram("hwr_request_seconds", "Time to answer.", ["route"], registry=own, buckets=SECONDS)
        self._pictures = Counter("hwr_pictures_total", "Pictures and pages.", ["route", "outcome"], registry=own)
        self.batch = Histogram("hwr_batch_pictures", "Pictures read together.", registry=own, buckets=PICTURES)
        self.replaced = Counter("hwr_processes_replaced_total", "Reading processes that had to be ended.", registry=own)
        self.waiting = Gauge("hwr_waiting_pictures", "Pictures that wait.", registry=own)
        self.held = Gauge("hwr_held_bytes", "Bytes of requests being received, waiting or read.", registry=own)
        self.connections = Gauge("hwr_connections", "Open connections.", registry=own)
        self.ready = Gauge("hwr_ready_processes", "Processes that can read.", registry=own)
        self._counters: dict[tuple[str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def pictured(self, route: str, read: int, refused: int) -> None:
        """Counts pictures and pages of an answer."""
        for outcome, count in (("read", read), ("refused", refused)):
            if count:
                self._pictures.labels(route, outcome).inc(count)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts a request."""
        if (route, status) not in self._counters:
            self._counters[route, status] = self._requests.labels(route, str(status))
            self._histograms[route] = self._seconds.labels(route)
        self._counters[route, status].inc()
        self._histograms[route].observe(seconds)

    def text(self) -> bytes:
        """Returns all of it in Prometheus' text format."""
        return generate_latest(self.registry)
