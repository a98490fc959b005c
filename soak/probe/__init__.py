"""Senses: what a process tree and its host look like from outside."""

from soak.probe.find import Root, find
from soak.probe.host import HostProbe
from soak.probe.remote import RemoteWatch
from soak.probe.sense import Sense
from soak.probe.tree import TreeProbe
from soak.probe.watch import Watch, senses_of

__all__ = ["HostProbe", "RemoteWatch", "Root", "Sense", "TreeProbe", "Watch", "find", "senses_of"]
