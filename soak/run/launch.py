"""Become the target: ask the kernel to end it with soak, then replace this process by its command.

    python -S -E launch.py PARENT_PID COMMAND ARGUMENT...

It is run as a file, not imported: what must happen between fork and exec cannot safely happen in a
process that has threads, and PR_SET_PDEATHSIG (prctl(2)) survives execve(2).
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Exec the command; exit code 127 when it cannot be run."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    main()
