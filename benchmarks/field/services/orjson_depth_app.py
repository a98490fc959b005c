"""A thread of comments: each reply is nested in the one before, and the whole of it is read again and again."""

import json

import orjson
from asgi import serve

depth = 1


def answer(method, path, headers, body):
    global depth
    if method == "POST":
        depth += json.loads(body)["depth"]
        return 200, b""
    try:
        orjson.loads("[" * depth + "]" * depth)
    except orjson.JSONDecodeError:
        return 200, b"too deep"
    return 200, b"%d" % depth


serve(answer)
