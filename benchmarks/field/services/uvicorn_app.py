"""A service behind a load balancer that looks all the time whether its port is open (a thread stands in for it)."""

import socket
import sys
import threading
import time

from asgi import serve


def checks(port):
    while True:
        time.sleep(0.2)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            pass


threading.Thread(target=checks, args=(int(sys.argv[1]),), daemon=True).start()
serve(lambda method, path, headers, body: (200, path.encode()))
