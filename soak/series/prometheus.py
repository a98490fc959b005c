"""What a Prometheus (or Mimir, Thanos, VictoriaMetrics) has seen, through its HTTP API: query_range.

https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import requests

from soak.core.errors import SoakError
from soak.core.records import Series

TOKEN = "SOAK_PROMETHEUS_TOKEN"
"""Environment variable with a bearer token, for those that want one."""

_POINTS = 1500
_LEAST_STEP_S = 1.0
_TIMEOUT_S = 60.0
_MOST_SERIES = 10_000


def from_prometheus(
    url: str, query: str, since: float, now: float, step: float | None = None
) -> tuple[dict[str, Series], float]:
    """Series by their labels, of the last `since` seconds before `now` (epoch); and the step (s) that was asked for.

    Raises SoakError when it cannot be reached, does not understand, or knows of none.
    """
    asked = step or max(_LEAST_STEP_S, float(math.ceil(since / _POINTS)))
    token = os.environ.get(TOKEN)
    try:
        answer = requests.get(
            f"{url.rstrip('/')}/api/v1/query_range",
            params={"query": query, "start": f"{now - since:.3f}", "end": f"{now:.3f}", "step": f"{asked:g}"},
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUT_S,
        )
        said = answer.json()
    except requests.exceptions.JSONDecodeError:
        raise SoakError(
            f"{url}: status {answer.status_code} and no JSON: is that the address of a Prometheus?"
        ) from None
    except requests.RequestException as error:
        raise SoakError(f"{url}: cannot be reached: {_cause(error)}") from None
    if not isinstance(said, dict) or said.get("status") != "success":
        told = said.get("error") if isinstance(said, dict) else None
        raise SoakError(f"{url}: status {answer.status_code}: {told or 'the query failed'}")
    data = said.get("data")
    results = data.get("result") if isinstance(data, dict) and data.get("resultType") == "matrix" else None
    if not isinstance(results, list):
        raise SoakError(f"{url}: its answer is no range of values")
    if not results:
        raise SoakError(f"{url}: no series for {query}")
    if len(results) > _MOST_SERIES:
        raise SoakError(f"{url}: {len(results):,} series for {query}; at most {_MOST_SERIES:,} are judged at once")
    return dict(_series(result, query) for result in results), asked


def _series(result: dict[str, Any], query: str) -> tuple[str, Series]:
    labels = dict(result.get("metric", {}))
    name = labels.pop("__name__", "")
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    points = np.array([(float(t), float(v)) for t, v in result.get("values", [])]).reshape(-1, 2)
    return (f"{name}{{{inside}}}" if inside else name) or query, Series(points[:, 0], points[:, 1])


def _cause(error: requests.RequestException) -> str:
    reason = error
    while reason.args and isinstance(reason.args[0], BaseException):
        reason = reason.args[0]  # type: ignore[assignment]
    inner = getattr(reason, "reason", reason)
    return str(inner).rpartition(": ")[2] or type(error).__name__
