"""Traffic: the arrival schedule and Locust, in child processes only.

Only what needs no Locust is exported here: importing Locust patches the whole process.
"""

from soak.load.fleet import Fleet, Listen, told_parts
from soak.load.plan import Invitation, Plan, digests, schedule_of
from soak.load.schedule import Part

__all__ = [
    "Fleet",
    "Invitation",
    "Listen",
    "Part",
    "Plan",
    "digests",
    "schedule_of",
    "told_parts",
]
