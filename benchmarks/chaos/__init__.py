"""What `make chaos` breaks, and what must hold whatever breaks: see docs/chaos.md.

    plan ─▶ trial: a short soak, or some under `soak serve` ─▶ kill, resume, kill, ... ─▶ promises ─▶ table

A report is acknowledged when the load master has told its worker that it is safe. An orphan is a process of a run that
is there after the run: its target too, where soak started that. A run file is corrupt when SQLite says so, when it
reads as torn, or when its account does not balance. A verdict tells a gap when its reasons or notes name what died.
"""
