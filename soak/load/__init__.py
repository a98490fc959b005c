"""Traffic: the arrival schedule and Locust, in child processes only.

Only what needs no Locust is exported here: importing Locust patches the whole process.
"""

from soak.load.fleet import Fleet, Loss
from soak.load.plan import Plan, schedule_of
from soak.load.schedule import Schedule

__all__ = ["Fleet", "Loss", "Plan", "Schedule", "schedule_of"]
