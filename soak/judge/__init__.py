"""Windows to verdict; pure: no clock, no files, no network."""

from soak.judge.verdict import judge

__all__ = ["judge"]
