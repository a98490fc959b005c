"""`python -m soak.probe.inject DEBUGGER PID`: start the agent in a Python that runs already.

A process of its own, for a debugger may hang. Exit code 0, or a reason on standard error.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path

_AGENT = Path(__file__).parent.parent / "agent"

_PAYLOAD = """
import sys
if "_soak_agent" not in sys.modules and "soak.agent" not in sys.modules:
    from importlib.util import module_from_spec, spec_from_file_location
    spec = spec_from_file_location("_soak_agent", {init!r}, submodule_search_locations=[{folder!r}])
    agent = module_from_spec(spec)
    sys.modules["_soak_agent"] = agent
    spec.loader.exec_module(agent)
"""


def main() -> None:
    """What the module's docstring says. Raises SystemExit with the reason."""
    from memray._errors import MemrayCommandError
    from memray.commands.attach import _DebuggerCommand, debugger_available

    debugger, pid = sys.argv[1], int(sys.argv[2])
    if not debugger_available(debugger):
        raise SystemExit(f"there is no {debugger} on this machine")
    try:
        channel: socket.socket = _DebuggerCommand().inject_control_channel(debugger, pid)
        with contextlib.closing(channel):
            channel.sendall(_PAYLOAD.format(init=str(_AGENT / "__init__.py"), folder=str(_AGENT)).encode())
            channel.shutdown(socket.SHUT_WR)
            while channel.recv(4096):  # ends when the code has run
                pass
    except (MemrayCommandError, OSError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
