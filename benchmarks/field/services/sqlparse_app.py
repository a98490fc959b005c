"""A query that is refined again and again is formatted for a log; one that cannot be parsed is told so."""

import json

import sqlparse
from asgi import serve
from sqlparse.exceptions import SQLParseError

depth = 1


def answer(method, path, headers, body):
    global depth
    if method == "POST":
        depth += json.loads(body)["depth"]
        return 200, b""
    try:
        sqlparse.format("select " + "(" * depth + "1" + ")" * depth, reindent=True)
    except SQLParseError:
        return 200, b"too deep"
    return 200, b"%d" % depth


serve(answer)
