from __future__ import annotations

import subprocess
import sys

import pytest

# in a process of its own: importing Locust changes a process for good
HANG_UP = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, http.server, threading
from locust import {kind}
from locust.env import Environment
from soak.load.users import hang_up

gone = threading.Event()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def finish(self):
        gone.set()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()


class Visitor({kind}):
    host = "http://127.0.0.1:%d" % server.server_port


visitor = Visitor(Environment())
assert visitor.client.get("/").status_code == 200
gevent.sleep(0.2)
assert not gone.is_set(), "the connection is not kept at all"
hang_up([visitor])
assert gone.wait(10), "the connection is still open"
"""


@pytest.mark.parametrize("kind", ["HttpUser", "FastHttpUser"])
def test_users_that_hang_up_close_the_connections_that_they_kept(kind: str) -> None:
    subprocess.run([sys.executable, "-c", HANG_UP.format(kind=kind)], check=True, timeout=60)
