"""Traffic: the arrival schedule and Locust, in child processes only.

Only what needs no Locust is exported here: importing Locust patches the whole process.
"""

from soak.load.fleet import Fleet, Listen, Loss
from soak.load.plan import Invitation, Plan, digests, schedule_of
from soak.load.schedule import Part, Schedule
from soak.load.wire import read_token

__all__ = [
    "Fleet",
    "Invitation",
    "Listen",
    "Loss",
    "Part",
    "Plan",
    "Schedule",
    "digests",
    "read_token",
    "schedule_of",
]
