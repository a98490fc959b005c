"""Senses: what a process tree and its host look like from outside."""

from soak.probe.find import Root, find
from soak.probe.host import HostProbe
from soak.probe.sense import Sense
from soak.probe.stacks import ThreadStacks
from soak.probe.tree import TreeProbe

__all__ = ["HostProbe", "Root", "Sense", "ThreadStacks", "TreeProbe", "find"]
