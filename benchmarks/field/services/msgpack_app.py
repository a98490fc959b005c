"""Events as MessagePack; those of an old kind of client have numbers as keys, and are refused."""

import msgpack
from asgi import serve

ORDER = {"item": 7, "name": "a thing", "notes": ["as a gift", "by the back door"], "sent": "to the other address"}
NEW, OLD = msgpack.packb({"order": ORDER}), msgpack.packb({7: ORDER})


def answer(method, path, headers, body):
    try:
        return 200, msgpack.unpackb(OLD if path == "/events/old" else NEW)["order"]["name"].encode()
    except ValueError as error:
        return 400, str(error).encode()


serve(answer)
