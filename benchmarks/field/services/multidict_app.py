"""Headers kept as a case-insensitive mapping, as HTTP libraries do."""

from asgi import serve
from multidict import CIMultiDict, istr


def answer(method, path, headers, body):
    kept = CIMultiDict((istr(name.decode()), value.decode()) for name, value in headers)
    kept.update({"X-Request-Id": path, "X-Shop": "1"})
    return 200, ",".join(kept.keys()).encode()


serve(answer)
