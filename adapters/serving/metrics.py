"""What a server counts, in Prometheus's terms."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The figures of one server; `text` is what a scraper reads.

    `task` labels only name installed tasks, so that requests cannot make labels without end.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "modelpatch_requests", "Requests by status.", ["status"], registry=self._registry
        )
        self.answers = Counter(
            "modelpatch_answers", "Images answered, by task.", ["task"], registry=self._registry
        )
        self.seconds = Histogram(
            "modelpatch_request_seconds", "Seconds a request took.", registry=self._registry
        )
        self.batch = Histogram(
            "modelpatch_batch_images",
            "Images in a pass of the network.",
            registry=self._registry,
            buckets=_SIZES,
        )
        self.mixed = Histogram(
            "modelpatch_batch_tasks",
            "Different tasks in a pass of the network.",
            registry=self._registry,
            buckets=_SIZES,
        )
        self.tasks = Gauge("modelpatch_tasks", "Installed tasks.", registry=self._registry)
        self.waiting = Gauge(
            "modelpatch_waiting", "Requests that wait for the network.", registry=self._registry
        )
        self.bytes = Gauge(
            "modelpatch_body_bytes", "Bytes of bodies on their way.", registry=self._registry
        )

    def text(self) -> bytes:
        """All figures in the exposition format."""
        return generate_latest(self._registry)
