"""Orders as JSON; their ids are as long as the customer likes."""

import ujson
from asgi import serve


def answer(method, path, headers, body):
    order = ujson.loads(body)
    return 200, ujson.dumps({"item": order["item"], "digits": len(str(order["id"]))}).encode()


serve(answer)
