"""Queries are formatted for a log; one that cannot be parsed is the client's fault."""

import sqlparse
from asgi import serve
from sqlparse.exceptions import SQLParseError


def answer(method, path, headers, body):
    try:
        return 200, sqlparse.format(body.decode(), reindent=True).encode()
    except SQLParseError as error:
        return 400, str(error).encode()


serve(answer)
