# uvicorn, leaving politely. Its own way closes what it has accepted and not read yet, and kept connections between two
# answers (Server.shutdown and H11Protocol.shutdown); this one reads first, and answers with "Connection: close".
import asyncio, os, socket
import uvicorn


class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        if self.started and "NOTIFY_SOCKET" in os.environ:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])

    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        for _ in range(50):
            for connection in self.server_state.connections:
                connection.default_headers = [(b"connection", b"close")]
            await asyncio.sleep(0.1)
            if not self.server_state.connections:
                break
        await super().shutdown(sockets)


server = Server(uvicorn.Config("asgi:app", fd=3))
server.run()
raise SystemExit(0 if server.started else 3)
