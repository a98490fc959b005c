"""A small shop on Tornado that knows its visitors by a cookie."""

import asyncio
import sys

from tornado.web import Application, RequestHandler


class Item(RequestHandler):
    def get(self, number):
        self.write({"id": int(number), "visitor": len(self.get_cookie("shop", ""))})


async def main():
    Application([(r"/items/(\d+)", Item)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
