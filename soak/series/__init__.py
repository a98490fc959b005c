"""Series from elsewhere, to be judged as those of a run are: tables of numbers, and what a Prometheus has seen."""

from soak.series.prometheus import from_prometheus
from soak.series.table import from_table

__all__ = ["from_prometheus", "from_table"]
