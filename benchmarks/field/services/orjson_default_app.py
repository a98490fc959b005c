"""Items as JSON; what it cannot write is refused by its own `default`, as the documentation shows."""

import orjson
from asgi import serve


class Odd:
    pass


def default(value):
    raise TypeError(f"cannot write {type(value).__name__}")


def answer(method, path, headers, body):
    item = {"id": path, "extra": Odd() if path == "/odd" else None}
    try:
        return 200, orjson.dumps(item, default=default)
    except orjson.JSONEncodeError as error:
        return 422, str(error).encode()


serve(answer)
