"""Traffic: the arrival schedule and Locust, in child processes only.

Only what needs no Locust is exported here: importing Locust patches the whole process.
"""

from soak.load.fleet import Fleet, Listen, Loss, told_parts
from soak.load.plan import Invitation, Plan, digests, schedule_of
from soak.load.schedule import Part, Schedule

__all__ = [
    "Fleet",
    "Invitation",
    "Listen",
    "Loss",
    "Part",
    "Plan",
    "Schedule",
    "digests",
    "schedule_of",
    "told_parts",
]
