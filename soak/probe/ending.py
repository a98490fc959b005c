"""How a process that is not one's own child ended, also when its parent waits for it at once (pidfd_getfd(2) and kin).

A zombie says how it ended in /proc/PID/stat, but only until its parent has waited for it, which takes milliseconds.
From Linux 6.15 on a descriptor of the process (pidfd_open(2)) still tells afterwards (PIDFD_GET_INFO, include/uapi/
linux/pidfd.h). Older kernels refuse, and then nothing is known.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

MOST = 128
"""So many are held open at once; further processes end unseen."""

_SIZE = 64
_GET_INFO = (3 << 30) | (_SIZE << 16) | (0xFF << 8) | 11  # _IOWR(0xFF, 11, struct pidfd_info)
_EXIT = 1 << 3
_EXIT_CODE_AT = 60


class Endings:
    """Holds on to processes by their identity (pid, start in clock ticks) until they have ended."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], int] = {}

    def hold(self, pid: int, started: int) -> None:
        """Hold on to a process that lives, if there is room and the kernel can."""
        if len(self._held) >= MOST or not hasattr(os, "pidfd_open"):
            return
        with contextlib.suppress(OSError):
            self._held[pid, started] = os.pidfd_open(pid)

    def of(self, pid: int, started: int) -> int | None:
        """Let go of a process that is gone: its status as wait(2) has it, None when that is not known."""
        held = self._held.pop((pid, started), None)
        if held is None:
            return None
        info = bytearray(_SIZE)
        struct.pack_into("=Q", info, 0, _EXIT)
        try:
            fcntl.ioctl(held, _GET_INFO, info, True)
        except OSError:
            return None
        finally:
            os.close(held)
        (known,), (status,) = struct.unpack_from("=Q", info, 0), struct.unpack_from("=i", info, _EXIT_CODE_AT)
        return int(status) if known & _EXIT else None

    def close(self) -> None:
        """Let go of all."""
        for held in self._held.values():
            os.close(held)
        self._held.clear()
