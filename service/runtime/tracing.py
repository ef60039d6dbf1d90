"""Traces of OpenTelemetry, for operators who collect them; none are made unless an address is set.

All that workers do for a job is one trace, and its id is the job's: nothing has to be handed on
through the queue, over restarts and to workers that help, and who knows a job finds its trace.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from opentelemetry import trace
from opentelemetry.context import Context

_tracer = trace.get_tracer("mfnet")
_PATIENCE_S = 2.0
_job: ContextVar[int] = ContextVar("job")


def send(address: str | None, role: Literal["api", "worker"]) -> None:
    """From now on this process's spans go to a collector, if there is one, in batches.

    Args:
        address: Of a collector that speaks OTLP over HTTP, such as `http://127.0.0.1:4318`.
        role: Which of our processes this is.
    """
    if address is None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class JobIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _job.get(0) or super().generate_trace_id()

    resource = Resource.create({"service.name": f"mfnet-{role}"})
    provider = TracerProvider(resource=resource, id_generator=JobIds(), shutdown_on_exit=False)
    endpoint = f"{address.rstrip('/')}/v1/traces"
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_PATIENCE_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def end() -> None:
    """Sends what is left, as the process ends; a collector that is away holds it up for seconds."""
    provider = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):  # the library's own, which does nothing, has none
        provider.force_flush()


@contextmanager
def of_job(job_id: str, what: str, **attributes: str | int) -> Iterator[None]:
    """What is done meanwhile, in this thread, is a span of the job's trace.

    Args:
        job_id: 32 hexadecimal digits, as a trace's id.
        what: The span's name.
        attributes: Told with it, after `mfnet.`.
    """
    told = {f"mfnet.{name}": value for name, value in {"job": job_id, **attributes}.items()}
    before = _job.set(int(job_id, 16))
    try:
        with _tracer.start_as_current_span(what, Context(), attributes=told):
            yield
    finally:
        _job.reset(before)


def step(what: str) -> None:
    """The job that is worked on has come so far."""
    trace.get_current_span().add_event(what)


def failed(code: str) -> None:
    """What is done now came to no good end."""
    trace.get_current_span().set_status(trace.StatusCode.ERROR, code)


def about_job(job_id: str) -> None:
    """The request that is answered now is about a job."""
    trace.get_current_span().set_attribute("mfnet.job", job_id)
