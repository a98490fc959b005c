"""Senses: what a process tree and its host look like from outside, and what an agent inside says."""

from soak.probe.agent import FOLDER_VARIABLE, AgentSense, socket_of
from soak.probe.attach import Attach
from soak.probe.cgroup import cgroup_of, pids_of
from soak.probe.find import Root, find
from soak.probe.host import HostProbe
from soak.probe.inspection import Inspection, trim
from soak.probe.procfs import readable
from soak.probe.remote import RemoteWatch
from soak.probe.scrape import ScrapeSense
from soak.probe.watch import Watch, senses_of

__all__ = [
    "FOLDER_VARIABLE",
    "AgentSense",
    "Attach",
    "HostProbe",
    "Inspection",
    "RemoteWatch",
    "Root",
    "ScrapeSense",
    "Watch",
    "cgroup_of",
    "find",
    "pids_of",
    "readable",
    "senses_of",
    "socket_of",
    "trim",
]
