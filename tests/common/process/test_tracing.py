"""Spans of jobs: nobody makes any unless told to; what is made has a name, a job's id and the kind of an error, and no more."""

from __future__ import annotations

import asyncio
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from common.config import validate
from common.errors import ConfigError, PeerLost
from common.process import extra
from common.process.metrics import JobWatch, PartyMetrics
from common.process.serve import begin_tracing
from common.process.settings import TracingConfig
from common.text import traces
from common.wire import coordinator_pb2
from common.wire.client import Connection
from common.wire.methods import COORDINATOR, SHOW
from common.wire.server import Call, Service, serve
from tests.common.wire.test_client import HERE, THERE, certificates, load


class Collected:
    """What a process has handed on."""

    def __init__(self, ratio: float = 1.0) -> None:
        sdk = pytest.importorskip("opentelemetry.sdk.trace.export")
        memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
        from common.process.tracing import OtelTracer, make_provider

        self.kept = memory.InMemorySpanExporter()
        self.provider = make_provider("grid-party", ratio)
        self.provider.add_span_processor(sdk.SimpleSpanProcessor(self.kept))
        self.tracer = OtelTracer(self.provider)

    def spans(self) -> dict[str, Any]:
        return {span.name: span for span in self.kept.get_finished_spans()}


@pytest.fixture
def collected() -> Iterator[Collected]:
    found = Collected()
    traces.use(found.tracer)
    yield found
    traces.close()


async def test_a_job_its_stages_and_the_calls_made_in_it_are_one_trace(collected: Collected, tmp_path: Path) -> None:
    certificates(tmp_path)

    async def show(request: coordinator_pb2.JobRequest, call: Call) -> coordinator_pb2.Job:
        return coordinator_pb2.Job(id=request.job)

    server = await serve(
        "127.0.0.1:0", load(tmp_path, HERE), [THERE.org], [Service(COORDINATOR, {"Show": show})], origin="here"
    )
    connection = Connection(f"127.0.0.1:{server.port}", HERE, load(tmp_path, THERE))
    await connection.call(SHOW, coordinator_pb2.JobRequest(job="x"))  # in no job: in no span either
    with JobWatch(PartyMetrics(CollectorRegistry()), "train-1", "train") as watch:
        watch.stage("align")
        await connection.call(SHOW, coordinator_pb2.JobRequest(job="x"))
        watch.stage("train")
        watch.ended()
    await connection.close()
    await server.stop()
    found = collected.spans()
    assert set(found) == {"job train", "align", "Show", "train"}
    spans = collected.kept.get_finished_spans()
    (job,) = [span for span in spans if span.parent is None]
    assert {span.context.trace_id for span in spans} == {job.context.trace_id}
    assert {span.parent.span_id for span in spans if span is not job} == {job.context.span_id}
    assert {tuple(span.attributes.items()) for span in spans} == {(("wattscore.job", "train-1"),), ()}  # of a call: none
    assert not any(span.events or span.links for span in spans)
    assert set(job.resource.attributes) == {"service.name", "service.version"}


def test_all_processes_have_one_name_for_a_jobs_trace_and_keep_the_same_share_of_them() -> None:
    one, other = Collected(0.5), Collected(0.5)
    for k in range(60):
        for process in (one, other):
            process.tracer.begin("train", f"train-{k}").end()
    kept = [
        {span.attributes["wattscore.job"]: span.context.trace_id for span in p.kept.get_finished_spans()} for p in (one, other)
    ]
    assert kept[0] == kept[1] and 10 < len(kept[0]) < 50
    one.tracer.begin("score on request").end()
    other.tracer.begin("score on request").end()


def test_an_error_is_told_by_its_kind_alone(collected: Collected) -> None:
    with pytest.raises(PeerLost), traces.spanning("train", "train-1"):
        raise PeerLost("enterprise 91350 has income 7")
    with JobWatch(PartyMetrics(CollectorRegistry()), "score-1", "score") as watch:
        watch.ended("PolicyError")
    found = collected.spans()
    assert (found["train"].status.description, found["job score"].status.description) == ("PeerLost", "PolicyError")
    assert not any("91350" in span.to_json() for span in found.values())


def test_what_a_caller_says_of_its_span_is_believed_as_far_as_it_is_one(collected: Collected) -> None:
    real = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for said, parent in ((real, 0xB7AD6B7169203331), ("00-zz", None), ("x" * 5000, None), (b"\x00", None)):
        with traces.spanning("Deal", called=traces.incoming([("other", b"1"), (traces.PARENT, said)])):
            pass
        span = collected.kept.get_finished_spans()[-1]
        assert (None if span.parent is None else span.parent.span_id) == parent
    assert traces.outgoing() == ()


def test_without_a_section_nothing_is_made_nor_loaded() -> None:
    begin_tracing(SimpleNamespace(tracing=None), "grid-party")  # type: ignore[arg-type]
    with traces.spanning("train", "train-1") as span, traces.current(traces.begin("stage")):
        assert span is traces.NOTHING and traces.outgoing() == () and traces.incoming([(traces.PARENT, "00-1")]) == ""
    modules = "grid_party.seat, bank_party.seat, common.coordinator.daemon"
    text = f"import sys, {modules}; print([name for name in sys.modules if 'telemetry' in name])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_is_named() -> None:
    says = r"\[tracing\] needs a package that is not installed: opentelemetry"
    with pytest.raises(ConfigError, match=says) as caught, extra.extra("tracing", "otel"):
        raise ModuleNotFoundError("gone", name="opentelemetry")
    assert "'.[otel]'" in caught.value.remedy


@pytest.mark.parametrize(
    ("endpoint", "good"),
    [
        ("https://collector.bank.example:4318/v1/traces", True),
        ("http://127.0.0.1:4318/v1/traces", True),
        ("http://localhost/v1/traces", True),
        ("http://collector.bank.example:4318/v1/traces", False),
        ("http://127.0.0.1:4318@collector.bank.example/v1/traces", False),
        ("http://[::1]:4318/v1/traces", True),
        ("ftp://127.0.0.1/v1", False),
        ("https://", False),
        ("127.0.0.1:4318", False),
    ],
)
def test_spans_leave_the_machine_by_tls_alone(endpoint: str, good: bool) -> None:
    if good:
        assert TracingConfig(endpoint=endpoint).ratio == 1.0
        return
    with pytest.raises(ValidationError, match="https:// address"):
        TracingConfig(endpoint=endpoint)


def test_a_password_in_an_address_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="holds a user's name or password") as caught:
        validate(TracingConfig, {"endpoint": "https://me:hushed@collector.bank.example/v1/traces"}, "grid.toml")
    assert "hushed" not in str(caught.value)


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans as a collector does."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers["Authorization"], body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


async def test_spans_reach_a_collector_by_otlp_also_those_of_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # a proxy of the environment is for browsers
    token = tmp_path / "token"
    token.write_text("secret\n")
    token.chmod(0o600)
    server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    server.taken = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
        settings: Any = SimpleNamespace(tracing=TracingConfig(endpoint=endpoint, token=token))
        begin_tracing(settings, "bank-party")
        with traces.spanning("train", "train-1"):
            pass
        await asyncio.to_thread(traces.close)
    finally:
        server.shutdown()
        server.server_close()
    ((path, authorization, body),) = server.taken  # type: ignore[attr-defined]
    (found,) = service.ExportTraceServiceRequest.FromString(body).resource_spans
    assert (path, authorization) == ("/v1/traces", "Bearer secret")
    assert [span.name for scope in found.scope_spans for span in scope.spans] == ["train"]
    token.chmod(0o640)
    for file, says in ((token, "other users may read"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(ConfigError, match=says):
            begin_tracing(SimpleNamespace(tracing=TracingConfig(endpoint=endpoint, token=file)), "x")  # type: ignore[arg-type]
