# Python's own http.server. It speaks HTTP/1.0: one request on each connection, so none is lost on a kept one.
import itertools, os, signal, socket, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

time.sleep(float(os.environ.get("LOAD_SECONDS", 0)))
served = itertools.count(1)
body = ("@VERSION@ " * 3000)[:20000].encode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.5)
        elif next(served) % 20 == 0:
            time.sleep(0.03)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return ""  # a client on a unix socket has none


server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
server.daemon_threads = False  # leaving waits for the requests that have begun
server.socket = socket.socket(fileno=3)
server.socket.setblocking(False)  # the other version may be quicker
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())

if "NOTIFY_SOCKET" in os.environ:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever(poll_interval=0.1)
server.server_close()
