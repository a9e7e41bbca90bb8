"""Spans of one job from all three daemons at a collector: one trace, of ids of jobs and nothing else of anybody's."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from common.client.client import Client
from tests.common.process.test_tracing import Collector
from tests.scenarios.end_to_end.lab import Lab, eventually, make_plan, make_tables, succeed

DAEMONS = ("coordinator", "grid", "bank")
TOLD = {"job", "error", "wattscore.job", "error.type", "rpc.system", "rpc.service", "rpc.method"}


@pytest.fixture
def collector() -> Iterator[http.server.HTTPServer]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    server.taken = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_job_is_one_trace_over_three_processes(lab: Lab, client: Client, collector: http.server.HTTPServer) -> None:
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    grid, bank = make_tables("TRACED")
    lab.write("after", grid, bank)
    tracing = {"endpoint": f"http://127.0.0.1:{collector.server_port}/v1/traces"}
    for name in DAEMONS:
        lab.restart(name, tracing=tracing)
    job = succeed(client, make_plan("after")).id

    def spans() -> dict[str, list[tuple[str, bytes]]]:
        """By daemon, each span's name and trace, of those that are of this job."""
        found: dict[str, list[tuple[str, bytes]]] = {}
        for _, _, body in list(collector.taken):  # type: ignore[attr-defined]
            for part in service.ExportTraceServiceRequest.FromString(body).resource_spans:
                (whose,) = (one.value.string_value for one in part.resource.attributes if one.key == "service.name")
                for span in (span for scope in part.scope_spans for span in scope.spans):
                    if job in {one.value.string_value for one in span.attributes}:
                        found.setdefault(whose, []).append((span.name, span.trace_id))
                    assert {one.key for one in span.attributes} <= TOLD, span
        return found

    eventually(lambda: len(spans()) == len(DAEMONS), 60.0)
    found = spans()
    traces = {trace for whose in found.values() for _, trace in whose}
    assert len(traces) == 1, found
    names = {whose: {name for name, _ in of} for whose, of in found.items()}
    assert all("train" in of for whose, of in names.items() if "coordinator" not in whose), names
    sent = b"".join(body for _, _, body in collector.taken)  # type: ignore[attr-defined]
    assert not [
        id for id in (*grid["id"], *grid.columns[1:], *bank.columns[1:]) if str(id).encode() in sent and len(str(id)) > 3
    ]
