# tornado takes a socket from a program alone, and as it is: one that blocks would make it deaf.
import asyncio, itertools, os, signal, socket, time
import tornado.httpserver, tornado.web

time.sleep(float(os.environ.get("LOAD_SECONDS", 0)))
served = itertools.count(1)
body = ("@VERSION@ " * 3000)[:20000].encode()


class Handler(tornado.web.RequestHandler):
    async def get(self):
        if self.request.path == "/slow":
            await asyncio.sleep(0.5)
        elif next(served) % 20 == 0:
            await asyncio.sleep(0.03)
        self.set_header("Content-Type", "text/plain")
        self.write(body)


async def main():
    server = tornado.httpserver.HTTPServer(tornado.web.Application([(".*", Handler)]))
    listener = socket.socket(fileno=3)
    listener.setblocking(False)
    server.add_sockets([listener])
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    await leaving.wait()
    server.stop()
    await asyncio.sleep(1)
    await server.close_all_connections()


asyncio.run(main())
