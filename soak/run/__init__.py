"""One soak: target, phases, load, probe, verdict."""

from soak.run.conductor import Order, conduct
from soak.run.progress import view_for
from soak.run.serving import serve
from soak.run.target import agent_environment

__all__ = ["Order", "agent_environment", "conduct", "serve", "view_for"]
