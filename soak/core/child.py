"""A process that soak starts: how it ended, the end of what it says, and the end of its whole group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from time import monotonic, sleep
from typing import IO, Any, Self

_TAIL_BYTES = 64 * 1024
_LAST_WORDS_S = 0.5  # what it wrote last may still be in the pipe; its children may hold that open
_LOOK_AGAIN_S = 0.01

Process = subprocess.Popen[Any]


def status_of(process: Process) -> int | None:
    """How it ended, as `Popen.returncode` has it; None while it runs.

    It is not waited for: until `end_group`, its number and that of its group belong to nobody else, however much later.
    """
    if process.returncode is not None:
        return int(process.returncode)
    try:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # who started soak ignores SIGCHLD, so the kernel keeps nothing of a child that ended
        return process.poll()
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def end_group(process: Process, patience: float) -> None:
    """Wait `patience` (s) for its end, then kill whatever is left of its group, which it leads. Safe to call twice."""
    if process.returncode is not None:
        return
    deadline = monotonic() + patience
    while status_of(process) is None and monotonic() < deadline:
        sleep(_LOOK_AGAIN_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def signal_name(number: int) -> str:
    """`SIGSEGV`; real-time signals have no name."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


class Tail:
    """The end of what comes in a stream, read as it comes: however much it is, nothing fills up and nobody waits.

    `heed` is given every piece, in the reader's thread.
    """

    def __init__(self, stream: IO[bytes], heed: Callable[[bytes], None] = lambda _: None) -> None:
        self._stream = stream
        self._heed = heed
        self._kept = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def bytes(self) -> bytes:
        """What was kept of it."""
        return bytes(self._kept)

    def text(self) -> str:
        """The same as text."""
        return self.bytes().decode(errors="replace")

    def whole(self) -> Self:
        """Itself, once whoever writes has ended: what is still on its way is waited for."""
        self._reader.join(_LAST_WORDS_S)
        return self

    def close(self) -> None:
        """Close the stream, unless somebody else still writes into it: then its reader goes on until the end."""
        if not self.whole()._reader.is_alive():
            self._stream.close()

    def _read(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            while piece := os.read(self._stream.fileno(), 65536):
                self._heed(piece)
                self._kept += piece
                del self._kept[:-_TAIL_BYTES]
