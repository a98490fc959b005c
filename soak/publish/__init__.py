"""The verdict for systems; one file a system."""

from soak.publish.alerts import Alerts
from soak.publish.courier import Told

__all__ = ["Alerts", "Told"]
