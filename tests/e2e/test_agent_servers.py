"""The agent under the servers that people run: every worker answers, and what they serve is served as before."""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.agents import Host, eventually, running
from tests.e2e.harness import free_port

APPS = """
import json
async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""
TASKS = """
import os, sys
from celery import Celery
here = os.path.dirname(os.path.abspath(__file__))
app = Celery("tasks", broker="filesystem://", backend="file://" + here)
app.conf.broker_transport_options = {"data_folder_in": here + "/q", "data_folder_out": here + "/q",
                                     "processed_folder": here + "/q", "store_processed": False}
app.conf.broker_connection_retry_on_startup = False
@app.task
def add(a, b):
    return a + b
"""
SERVERS = [
    pytest.param(["uvicorn", "apps:asgi", "--port", "{port}"], 1, id="uvicorn"),
    pytest.param(["uvicorn", "apps:asgi", "--port", "{port}", "--workers", "2"], 3, id="uvicorn workers"),
    pytest.param(["gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "apps:wsgi"], 3, id="gunicorn sync"),
    pytest.param(["gunicorn", "-w", "2", "--preload", "-b", "127.0.0.1:{port}", "apps:wsgi"], 3, id="gunicorn preload"),
    pytest.param(
        ["gunicorn", "-k", "gthread", "--threads", "4", "-b", "127.0.0.1:{port}", "apps:wsgi"], 2, id="gunicorn gthread"
    ),
    pytest.param(["gunicorn", "-k", "gevent", "-b", "127.0.0.1:{port}", "apps:wsgi"], 2, id="gunicorn gevent"),
    pytest.param(["waitress", "--listen", "127.0.0.1:{port}", "apps:wsgi"], 1, id="waitress"),
]


def serves(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        found: bool = answer.read() == b"hello"
    return found


def every_worker_answers(host: Host, at_least: int) -> None:
    """Multiprocessing's own helpers among the family have an agent too."""
    family = eventually(lambda: len(f := host.family()) >= at_least and f, f"{at_least} processes")
    for pid in family:
        said = host.ask(pid=pid, force=True)
        assert said["pid"] == pid
        assert said["malloc"]["live"] > 1e6
        assert "functions" in host.ask("hot", pid=pid, seconds=0.2)
        assert host.ask("heap", pid=pid)["total"] > 1000


@pytest.mark.parametrize("command,processes", SERVERS)
def test_every_process_of_a_server_answers(tmp_path: Path, command: list[str], processes: int) -> None:
    port = free_port()
    (tmp_path / "apps.py").write_text(APPS)
    words = [word.format(port=port) for word in command]
    with running(tmp_path, sys.executable, "-m", *words) as host:
        eventually(lambda: serves(port), "an answer")
        every_worker_answers(host, processes)
        assert serves(port)
        host.process.terminate()
        assert host.wait() in (0, -15), host.said("err")
        assert "Traceback" not in host.said("err")
        assert "Warning" not in host.said("err")


def test_the_workers_of_celery_answer_and_work(tmp_path: Path) -> None:
    (tmp_path / "q").mkdir()
    (tmp_path / "tasks.py").write_text(TASKS)
    words = ["celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING"]
    with running(tmp_path, sys.executable, "-m", *words, C_FORCE_ROOT="1") as host:
        every_worker_answers(host, 3)
        code = "from tasks import add; print(add.delay(2, 3).get(timeout=30))"
        with running(tmp_path / "q", sys.executable, "-c", code, PYTHONPATH=str(tmp_path)) as client:
            assert client.wait(60) == 0, client.said("err")
            assert client.said("out") == "5\n"
        every_worker_answers(host, 3)
        host.process.terminate()
        assert host.wait(30) in (0, -15), host.said("err")
        assert "Traceback" not in host.said("err")


def test_a_worker_that_is_replaced_has_an_agent_too(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "apps.py").write_text(APPS)
    words = ["gunicorn", "-w", "1", "-b", f"127.0.0.1:{port}", "apps:wsgi"]
    with running(tmp_path, sys.executable, "-m", *words) as host:
        eventually(lambda: serves(port), "an answer")
        (first,) = host.family()[1:]
        os.kill(first, 9)
        (second,) = eventually(lambda: (f := host.family()[1:]) != [first] and len(f) == 1 and f, "another worker")
        assert host.ask(pid=second)["pid"] == second
        assert host.ask()["pid"] == host.pid
