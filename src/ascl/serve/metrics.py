"""Figures of a running gateway for Prometheus: how requests end, what they take, and how long.

No label holds anything of a client: not its key, its tenant or its words. Each gateway has a registry of its own.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from ascl.serve.loop import Walked

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_COMMIT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """The figures. Counters count from the start of the process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "ascl_requests",
            "Requests for a completion, by how they ended (refused: before the model was asked) and the status told.",
            ["outcome", "status"],
            registry=registry,
        )
        self.under_way = Gauge("ascl_requests_under_way", "Requests being answered.", registry=registry)
        self.consultations = Counter("ascl_consultations", "Look-ups of the rules by the model.", registry=registry)
        self.forged = Counter("ascl_forged", "What clients sent that imitated a consultation.", registry=registry)
        self.deferred = Counter(
            "ascl_deferred_calls", "Calls of clients' tools dropped for a consultation.", registry=registry
        )
        self.verdicts = Counter(
            "ascl_guard_verdicts",
            "Verdicts of the guard on answers and on texts for moderation (unjudged: there was none).",
            ["on", "verdict"],
            registry=registry,
        )
        self.tokens = Counter(
            "ascl_tokens", "Tokens of all turns, as the server counts them.", ["kind"], registry=registry
        )
        self.seconds = Histogram(
            "ascl_request_seconds", "Until the last byte of an answer.", buckets=_SECONDS, registry=registry
        )
        self.first_byte = Histogram(
            "ascl_first_byte_seconds", "Until the first byte of a streamed answer.", buckets=_SECONDS, registry=registry
        )
        self.versions = Counter("ascl_rule_versions", "Versions of rule books that came into force.", registry=registry)
        self.commits = Histogram(
            "ascl_audit_commit_seconds", "To write records of the trail to disk.", buckets=_COMMIT, registry=registry
        )
        self.arms = Counter(
            "ascl_arm_requests", "Requests of a canary, by the arm that answered.", ["arm"], registry=registry
        )
        self.arm_events = Counter(
            "ascl_arm_events",
            "What the test of a canary looks at (fault, refused, ..), by arm, each time.",
            ["arm", "event"],
            registry=registry,
        )
        self.canary_share = Gauge(
            "ascl_canary_share",
            "Of the conversations, answered under the candidate; 0 after a stop.",
            registry=registry,
        )
        self.canary_stops = Counter(
            "ascl_canary_stops", "Canaries ended by a test, by the test.", ["test"], registry=registry
        )
        self.shadowed = Counter(
            "ascl_shadow_lookups", "Look-ups made in the candidate too, by what it finds.", ["found"], registry=registry
        )
        self.feedback = Counter("ascl_feedback", "Verdicts of clients on answers.", ["verdict"], registry=registry)

    def ended(self, outcome: str, status: int, seconds: float, forged: int, walks: list[Walked]) -> None:
        """Count a request that was begun."""
        self.requests.labels(outcome, status).inc()
        self.seconds.observe(seconds)
        self.forged.inc(forged)
        for walked in walks:
            self.consultations.inc(len(walked.trajectory.consultations))
            self.deferred.inc(walked.deferred)
            if walked.verdict is not None:
                self.verdicts.labels("answer", walked.verdict).inc()
            self.tokens.labels("prompt").inc(walked.total["prompt_tokens"])
            self.tokens.labels("completion").inc(walked.total["completion_tokens"])

    def text(self) -> bytes:
        """All figures in Prometheus' text form."""
        return generate_latest(self.registry)
