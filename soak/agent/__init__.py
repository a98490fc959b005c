"""What runs inside a Python target: it answers a soak on a Unix socket, and otherwise lets its host be.

    soak exec -- gunicorn shop:app        # or, in the program itself:
    import soak.agent

Standard library only, Python 3.9 to 3.14: it shares a process with a program that has its own versions of everything.
It never calls the garbage collector, never writes to the host's output, and spends at most one part in a hundred of
a core. Importing it starts it; where it cannot start it stays silent, and the soak says that it is missing.
"""

from __future__ import annotations

from .life import start

start()
