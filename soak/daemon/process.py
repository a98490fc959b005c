"""The processes that do the work: `soak run` in a session of its own, and how it is known again after a restart.

A run does not end with the daemon: it has its own session, its output goes to files, and nothing of it is a pipe to
the daemon. It is known again by boot, pid and start time, or by the run file on its command line.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from soak.core.errors import SoakError
from soak.daemon.job import Process
from soak.probe import Root, procfs

_RUN = ["-m", "soak.cli", "run"]
_JUDGE = ["-m", "soak.cli", "judge"]
_OURS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID")
"""What systemd tells the daemon alone (sd_notify(3))."""


def boot_id() -> str:
    """What this boot of the machine is called (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def verdict_path(run_file: Path) -> Path:
    """Where the run's verdict is, as JSON: what it says on standard output."""
    return run_file.with_suffix(".json")


def log_path(run_file: Path) -> Path:
    """Where the run's progress is: what it says on standard error."""
    return run_file.with_suffix(".log")


def start_run(scenario: Path, run_file: Path, options: Sequence[str], baseline: Path | None) -> subprocess.Popen[bytes]:
    """Start a soak of `scenario` into `run_file`, compared with the run file `baseline` if there is one.

    `options` are what every `soak run` is told. Raises SoakError when there can be no process.
    """
    against = ["--against", str(baseline)] if baseline is not None else []
    return _start([*_RUN, str(scenario), "--run-file", str(run_file), "--json", *options, *against], run_file)


def resume_run(run_file: Path, options: Sequence[str], why: str) -> subprocess.Popen[bytes]:
    """Go on with a run that was cut off, in its run file; `why` is said in its log. Raises SoakError."""
    run_file.with_suffix(".html").unlink(missing_ok=True)  # the page of a run that went on is another one
    return _start([*_RUN, "--resume", str(run_file), "--json", *options], run_file, f"{why}\n")


def start_judge(run_file: Path) -> subprocess.Popen[bytes]:
    """Judge what a run left, in a process of its own: a long run needs more memory than the daemon may have."""
    return _start([*_JUDGE, str(run_file), "--json"], run_file)


def _start(arguments: Sequence[str], run_file: Path, before: str = "") -> subprocess.Popen[bytes]:
    try:
        run_file.parent.mkdir(parents=True, exist_ok=True)
        with verdict_path(run_file).open("wb") as out, log_path(run_file).open("ab") as log:
            log.write(before.encode())
            log.flush()
            return subprocess.Popen(
                # -P: a file beside the scenario is never imported in place of a module
                [sys.executable, "-P", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={k: v for k, v in os.environ.items() if k not in _OURS},
                start_new_session=True,
            )
    except OSError as error:
        raise SoakError(f"cannot start a run: {error.strerror}") from None


def identity(pid: int) -> Process | None:
    """The process that has this pid now."""
    with contextlib.suppress(procfs.GoneError):
        return Process(boot_id(), pid, procfs.stat(pid).started)
    return None


def alive(process: Process) -> bool:
    """Whether that very process exists and has not ended."""
    return process.boot == boot_id() and Root(process.pid, process.started).alive


def find_run(run_file: Path) -> Process | None:
    """Whoever writes `run_file`, by its command line."""
    for pid, stat in procfs.all_stats().items():
        with contextlib.suppress(procfs.GoneError, PermissionError):
            words = procfs.read(pid, "cmdline").split("\0")
            if stat.state not in "ZX" and str(run_file) in words and words[2:5] == _RUN:
                return Process(boot_id(), pid, stat.started)
    return None


def interrupt(process: Process) -> bool:
    """Ask a run to end, as Ctrl-C does; False when it is gone already."""
    return _signal(process, signal.SIGINT)


def kill(process: Process) -> bool:
    """End a run that does not; all that it started ends with it. False when it is gone already."""
    return _signal(process, signal.SIGKILL)


def _signal(process: Process, number: signal.Signals) -> bool:
    """The descriptor is of the process, not of its number: what has the pid afterwards is never hit."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        if not alive(process):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
