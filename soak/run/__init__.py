"""One soak: target, phases, load, probe, verdict."""

from soak.run.conductor import Order, conduct
from soak.run.progress import view_for

__all__ = ["Order", "conduct", "view_for"]
