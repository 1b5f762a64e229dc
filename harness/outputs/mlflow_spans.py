"""Calls as spans of MLflow's traces, many in one request. The second door to mlflow.

In: traced calls. Out: their traces in an experiment; one that is there already is replaced by the same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.outputs.traces import TracedCall

if TYPE_CHECKING:
    from mlflow.entities import Span


def trace_id(call: TracedCall) -> str:
    """Its name in MLflow."""
    return f"tr-{call.id}"


def log_spans(uri: str, experiment_id: str, calls: Iterable[TracedCall]) -> None:
    """Trace these calls. Raises NotImplementedError for a server before 3.4, and what MLflow passes on."""
    from mlflow.tracing.client import TracingClient

    TracingClient(uri).log_spans(experiment_id, [_span(one) for one in calls])


def _span(call: TracedCall) -> Span:
    from mlflow.entities import Span

    named = {"mlflow.traceName": call.name, **call.tags}
    tags = {f"mlflow.traceTag.{name}": value for name, value in named.items()}
    attributes = {"mlflow.traceRequestId": trace_id(call), **call.attributes, **tags}
    form = {
        "trace_id": base64.b64encode(bytes.fromhex(call.id)).decode("ascii"),
        "span_id": base64.b64encode(bytes.fromhex(call.id)[:8]).decode("ascii"),
        "parent_span_id": None,
        "name": call.name,
        "start_time_unix_nano": call.start_ns,
        "end_time_unix_nano": call.end_ns,
        "status": {
            "code": "STATUS_CODE_ERROR" if call.failure else "STATUS_CODE_OK",
            "message": call.failure,
        },
        "attributes": {name: json.dumps(value, ensure_ascii=False) for name, value in attributes.items()},
    }
    return Span.from_dict(form)
