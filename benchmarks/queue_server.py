"""A single-server queue with a deterministic service time, over HTTP: `python -m benchmarks.queue_server PORT MS`.

One thread serves one request at a time, in the order in which they arrive, over as many kept connections
as there are. The service of a request that had to wait begins the moment the one before it ended, so all
that the server itself does (reading, parsing, writing) is inside the service time and none between two.
On SIGTERM it prints how long each service took (s), in the order of service.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import sys
import time

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
_SPIN_S = 0.0003


class QueueServer:
    """The queue, its server, and its account."""

    def __init__(self, port: int, service: float) -> None:
        self._service = service
        self._links: dict[int, socket.socket] = {}
        self._door = socket.create_server(("127.0.0.1", port), backlog=512)
        self._poll = select.epoll()
        self._poll.register(self._door, select.EPOLLIN)
        self._idle, self._free_at = True, 0.0
        self.services: list[float] = []

    def run(self) -> None:
        """Serve until the process is told to end."""
        while True:
            ready = self._poll.poll(0)
            if not ready:
                self._idle = True
                ready = self._poll.poll()
            for number, _ in ready:  # epoll gives them in the order they became ready
                if number == self._door.fileno():
                    self._accept()
                else:
                    self._serve(self._links[number])

    def _accept(self) -> None:
        link, _ = self._door.accept()
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links[link.fileno()] = link
        # edge-triggered: else a connection keeps its place in the kernel's list, and its next request jumps the queue
        self._poll.register(link, select.EPOLLIN | select.EPOLLET)

    def _serve(self, link: socket.socket) -> None:
        """Serve one request of a connection, or note that it was closed."""
        start = time.monotonic() if self._idle else self._free_at
        if not link.recv(65536):
            self._poll.unregister(link)
            del self._links[link.fileno()]
            link.close()
            return
        end = start + self._service
        if (pause := end - time.monotonic() - _SPIN_S) > 0:
            time.sleep(pause)
        while time.monotonic() < end:
            pass
        link.sendall(_ANSWER)
        self._idle, self._free_at = False, time.monotonic()
        self.services.append(self._free_at - start)


def main() -> None:
    """Serve on a port of loopback, each request for so many milliseconds."""
    server = QueueServer(int(sys.argv[1]), float(sys.argv[2]) / 1e3)

    def stop(*_: object) -> None:
        print(json.dumps(server.services), flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    server.run()


if __name__ == "__main__":
    main()
