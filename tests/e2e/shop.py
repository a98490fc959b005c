"""A shop that is strict about what it is sent, and counts what it got: the truth that soaks are held against.

python shop.py PORT [CERTIFICATE KEY]
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter

import waitress
from flask import Flask, Response, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

app = Flask(__name__)
seen: Counter[str] = Counter()
connections: set[int] = set()
users: set[str] = set()
orders: set[int] = set()
lock = threading.Lock()


@app.before_request
def count() -> None:
    with lock:
        seen[f"{request.method} {request.path.split('/')[1]}"] += 1
        connections.add(request.environ["REMOTE_PORT"])


def wrong(what: str, status: int = 400) -> tuple[Response, int]:
    with lock:
        seen[f"wrong: {what}"] += 1
    return jsonify(wrong=what), status


@app.get("/login")
def login_page() -> Response:
    if "sid" in request.cookies:
        wrong("a visitor came with the cookie of another")
    answer = Response('<input name="csrf" value="t77">')
    answer.set_cookie("sid", "s1")
    return answer


@app.post("/login")
def login():
    if request.form.get("csrf") != "t77":
        return wrong("csrf")
    if (request.cookies.get("sid"), request.cookies.get("consent")) != ("s1", "yes"):
        return wrong("cookies")
    users.add(request.form["user"])
    return jsonify(token="k" + request.form["user"]), 200, {"X-Cart": "c/" + request.form["user"]}


@app.post("/cart/<path:user>")
def order(user: str):
    if request.headers.get("Authorization") != "Bearer sesame":
        return wrong("authorization", 401)
    if request.headers.get("X-Token") != "k" + user or request.args["cart"] != "c/" + user:
        return wrong("captured values")
    number = request.json["id"]
    if not isinstance(number, int) or number in orders:
        return wrong("order number")
    orders.add(number)
    return jsonify(), 201 if number % 2 else 409


@app.post("/upload")
def upload():
    image = request.files["image"]
    if (image.filename, image.mimetype, image.read()) != ("cat.png", "image/png", b"PNG"):
        return wrong("file")
    return "ok" if request.form["title"].startswith("cat ") else wrong("title")


@app.get("/drip")
def drip() -> Response:
    def slowly():
        for _ in range(50):
            yield "x"
            time.sleep(0.1)

    return Response(slowly())


@app.get("/slow")
def slow() -> str:
    time.sleep(0.6)
    return "ok"


@app.get("/plain")
def plain() -> str:
    return "ok"


@app.get("/stats")
def stats() -> Response:
    return jsonify(seen=seen, connections=len(connections), users=len(users), orders=len(orders))


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1])
    if len(sys.argv) > 2:
        make_server(
            "127.0.0.1", port, app, threaded=True, request_handler=Quiet, ssl_context=(sys.argv[2], sys.argv[3])
        ).serve_forever()
    else:
        waitress.serve(app, listen=f"127.0.0.1:{port}", threads=32)
