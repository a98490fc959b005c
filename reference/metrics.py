"""The page of metrics, from the catalogue."""

from __future__ import annotations

from itertools import groupby

from reference import markdown
from soak.core.metrics import COMPARED, METRICS, ONCE, Metric

_UNITS = {"time": "s", "bytes": "bytes", "ratio": "ratio", "rate": "1/s", "count": "count"}
_SHAPES = {
    "level": "median",
    "floor": "floor: its 5 % quantile, so a collector's sawtooth is none",
    "peak": "highest so far",
    "counter": "rate",
}


def page() -> str:
    """docs/reference/metrics.md."""
    rooms = [f"## {name}\n\n{_table(list(some))}" for name, some in groupby(METRICS.values(), lambda m: m.room)]
    return markdown.page(
        "Metrics",
        "The names that `criteria` may use, that charts show and findings are of. Units are those of the run file and "
        "of the [verdict](verdict.md); a scenario states limits with units of its own (`50ms`, `1 MiB/h`).",
        "A course is judged by blocks of samples. How a block is summed up:\n\n"
        + markdown.table(("shape", "a block's value is"), ((markdown.code(k), v) for k, v in _SHAPES.items())),
        f"`ratio_below` and `ratio_above` are for {', '.join(f'`{room}.*`' for room in COMPARED)}. Measured once a "
        f"run, so without a course: {', '.join(map(markdown.code, ONCE))}. Latencies and errors have a value for "
        "each endpoint; all others are those of the whole process tree, of the host or of the generator.",
        *rooms,
    )


def _table(some: list[Metric]) -> str:
    rows = ((markdown.code(m.name), _UNITS[m.dimension], m.shape, m.meaning) for m in some)
    return markdown.table(("metric", "unit", "shape", "meaning"), rows)
