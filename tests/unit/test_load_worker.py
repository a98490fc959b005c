"""A worker whose master is gone for long. In a process of its own: importing Locust changes one for good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CUT_OFF = """
from soak.load.plan import Invitation
from soak.load.worker import Worker
import gevent, zmq
from locust.rpc import Message, zmqrpc

def answering(server):
    while True:
        who, message = server.recv_from_client()
        if message.type == "client_ready":
            server.send_to_client(Message("ack", {"index": 0}, who))
        elif message.type == "soak_hello":
            server.send_to_client(Message("soak_refused", {"reason": "its run is over"}, who))

server = zmqrpc.Server("127.0.0.1", 0)
first = gevent.spawn(answering, server)
worker = Worker(Invitation("127.0.0.1", server.port, "token", "w", local=False))
first.kill()
server.close(linger=0)
for _ in range(3):
    worker.runner.reset_connection()  # Locust's name for it
    gevent.sleep(0.2)  # a listener that spins on a closed connection never lets this end
again = zmqrpc.Server("127.0.0.1", server.port)
gevent.spawn(answering, again)
worker.runner.send_message("soak_hello", {"nonce": "n", "name": "w"})
try:
    worker._welcome.get(timeout=10)
except Exception as error:
    print(error)
"""


def test_it_listens_again_when_its_master_was_gone_for_long() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CUT_OFF],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == "refused by the master: its run is over\n", done.stderr[-2000:]
