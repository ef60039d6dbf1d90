"""Traces of requests and jobs, at a collector that speaks OTLP."""

import gzip
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from waiting import PATIENCE_S, until

from mfnet.service.demo.server import serving

pytestmark = pytest.mark.acceptance


class Collector(http.server.ThreadingHTTPServer):
    """Keeps the spans that it gets, with the name of who sent them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spans: list[tuple[str, Any]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {each.key: each.value.string_value for each in resource.resource.attributes}
            spans = [span for scope in resource.scope_spans for span in scope.spans]
            self.server.spans += [(told["service.name"], span) for span in spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """On a free port of loopback."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value for each in span.attributes}


def test_a_job_is_one_trace_by_its_id_and_the_request_names_it(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    with serving() as client:
        pair = client.post("/samples").json()
        inputs = {role: pair[role]["id"] for role in ("ortho", "height")}
        made = client.post(
            "/processes/segment/execution", json={"inputs": inputs | {"model": "town-small"}}
        )
        job = made.json()["id"]
        until(lambda: client.get(f"/jobs/{job}").json().get("finished"), PATIENCE_S)
        link = client.post(f"/jobs/{job}/links", json={"days": 1}).json()["results"]
        assert client.get(link).status_code == 200
    # What was left was sent when the processes ended.
    (at_work,) = [span for who, span in collector.spans if who == "mfnet-worker"]
    assert (at_work.name, at_work.trace_id.hex(), at_work.parent_span_id) == ("segment", job, b"")
    assert attributes(at_work)["mfnet.job"] == job
    assert "windows" in [event.name for event in at_work.events]
    requests = [span for who, span in collector.spans if who == "mfnet-api"]
    (asked,) = [span for span in requests if attributes(span).get("mfnet.job") == job]
    assert attributes(asked)["http.route"] == "/processes/segment/execution"
    paths = {attributes(span)["url.path"] for span in requests}
    assert f"/jobs/{job}" in paths
    assert not [path for path in paths if "shared" in path or "health" in path]
