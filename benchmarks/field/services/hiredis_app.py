"""Items out of a Redis, whose replies are read by hiredis; what Redis would send stands here."""

import hiredis
from asgi import serve

REPLY = b"%2\r\n$4\r\nname\r\n$60\r\n" + b"a thing " * 7 + b"more\r\n$5\r\nprice\r\n$1\r\n7\r\n"
reader = hiredis.Reader()


def answer(method, path, headers, body):
    reader.feed(REPLY)
    return 200, reader.gets()[b"name"]


serve(answer)
