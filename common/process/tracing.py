"""Spans by OpenTelemetry, sent by OTLP over HTTP to a collector: an extra, loaded where a configuration has `[tracing]`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from common import __version__
from common.errors import ConfigError
from common.process.settings import TracingConfig
from common.text import traces
from common.wire.tls import read_key

_log = logging.getLogger(__name__)

JOB = "wattscore.job"
_TIMEOUT = 5.0  # seconds that a collector has to take spans, at the end too
_DOMAIN = b"wattscore trace\0"
_root: ContextVar[str] = ContextVar("root", default="")  # the job whose trace begins


class _Ids:
    """Random, but for the name of a job's trace: all processes reach the same one by the job's id."""

    def __init__(self) -> None:
        self._random: Any = RandomIdGenerator()

    def generate_span_id(self) -> int:
        return int(self._random.generate_span_id())

    def generate_trace_id(self) -> int:
        job = _root.get()
        return trace_of(job) if job else int(self._random.generate_trace_id())

    def is_trace_id_random(self) -> bool:
        return False


def trace_of(job: str) -> int:
    """The name of a job's trace, 128 bits."""
    return int.from_bytes(hashlib.sha256(_DOMAIN + job.encode()).digest()[:16])


class _Span:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def of(self, job: str) -> None:
        self.inner.set_attribute(JOB, job)

    def end(self, error: str = "") -> None:
        if error:
            self.inner.set_status(Status(StatusCode.ERROR, error))
        self.inner.end()


class OtelTracer:
    """A `traces.Tracer`. provider: of the SDK."""

    def __init__(self, provider: Any) -> None:
        self._provider, self._tracer = provider, provider.get_tracer("wattscore", __version__)
        self._wire: Any = TraceContextTextMapPropagator()

    def begin(self, name: str, job: str = "", *, within: traces.Span | None = None, called: str = "") -> _Span:
        context: Any = None
        if isinstance(within, _Span):
            context = set_span_in_context(within.inner, Context())
        elif called:
            context = self._wire.extract({traces.PARENT: called}, Context())
        token = _root.set(job)
        try:
            attributes = {JOB: job} if job else None
            return _Span(self._tracer.start_span(name, context, attributes=attributes, record_exception=False))
        finally:
            _root.reset(token)

    @contextmanager
    def current(self, span: traces.Span) -> Iterator[None]:
        if not isinstance(span, _Span):
            yield
            return
        token = attach(set_span_in_context(span.inner))
        try:
            yield
        finally:
            detach(token)

    def parent(self) -> str:
        carrier: dict[str, str] = {}
        if get_current_span().get_span_context().is_valid:
            self._wire.inject(carrier)
        return carrier.get(traces.PARENT, "")

    def close(self) -> None:
        self._provider.force_flush(int(1000 * _TIMEOUT))
        self._provider.shutdown()


def make_provider(service: str, ratio: float) -> Any:
    """service: the process, as a collector lists it. Of all traces this share is kept, the same ones in all processes."""
    ids: Any = _Ids()
    resource = Resource({"service.name": service, "service.version": __version__})  # and nothing of this machine
    return TracerProvider(sampler=TraceIdRatioBased(ratio), resource=resource, id_generator=ids)


def make_tracer(config: TracingConfig, service: str) -> OtelTracer:
    """Raises ConfigError for a token that cannot be read, or that others than its owner may read."""
    session = requests.Session()
    session.trust_env = False  # no proxy of the environment, no password of a .netrc
    session.max_redirects = 0  # spans and token go where the configuration says
    try:
        token = "" if config.token is None else read_key(config.token).decode("ascii").strip()
    except UnicodeDecodeError:
        raise ConfigError(f"{config.token}: a collector's token is ASCII text", remedy="Write it anew.") from None
    provider = make_provider(service, config.ratio)
    exporter = OTLPSpanExporter(
        endpoint=config.endpoint,
        certificate_file=None if config.trust is None else str(config.trust),
        headers={"authorization": f"Bearer {token}"} if token else {},
        timeout=_TIMEOUT,
        session=session,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _log.info("spans go to %s", config.endpoint)
    return OtelTracer(provider)
