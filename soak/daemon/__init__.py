"""Many soaks: a thin supervisor of runs, its API, and how to ask it."""

from soak.daemon.client import Client, Wanted

__all__ = ["Client", "Wanted"]
