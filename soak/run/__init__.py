"""One soak: target, phases, load, probe, verdict."""

from soak.run.conductor import conduct
from soak.run.earlier import known_noise, noise_path, summary_of
from soak.run.order import Order
from soak.run.pairs import alone, soak_pairs
from soak.run.progress import view_for
from soak.run.resume import Past, scenario_of, take_up
from soak.run.serving import serve, serve_forever
from soak.run.target import agent_environment

__all__ = [
    "Order",
    "Past",
    "agent_environment",
    "alone",
    "conduct",
    "known_noise",
    "noise_path",
    "scenario_of",
    "serve",
    "serve_forever",
    "soak_pairs",
    "summary_of",
    "take_up",
    "view_for",
]
