"""The verdict for systems; one file a system."""

from soak.publish.openmetrics import openmetrics

__all__ = ["openmetrics"]
