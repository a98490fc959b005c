"""A query that is refined again and again is formatted for a log; one that cannot be parsed is told so."""

import sqlparse
from asgi import serve_deepening
from sqlparse.exceptions import SQLParseError

serve_deepening(
    lambda depth: sqlparse.format("select " + "(" * depth + "1" + ")" * depth, reindent=True), SQLParseError
)
