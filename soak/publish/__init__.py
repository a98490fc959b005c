"""The verdict for systems; one file a system."""

from soak.publish.alerts import Alerts
from soak.publish.courier import Told
from soak.publish.openmetrics import openmetrics
from soak.publish.remote_write import Pushing
from soak.publish.serving import Serving

__all__ = ["Alerts", "Pushing", "Serving", "Told", "openmetrics"]
