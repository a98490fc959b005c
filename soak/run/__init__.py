"""One soak: target, phases, load, probe, verdict."""

from soak.run.conductor import Order, conduct
from soak.run.progress import view_for
from soak.run.serving import serve

__all__ = ["Order", "conduct", "serve", "view_for"]
