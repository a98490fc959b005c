"""A thread of comments: each reply is nested in the one before, and the whole of it is read again and again."""

import orjson
from asgi import serve_deepening

serve_deepening(lambda depth: orjson.loads("[" * depth + "]" * depth), orjson.JSONDecodeError)
