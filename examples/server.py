#!/usr/bin/env python3
"""A server in Python's standard library: answers with its pid, leaves gracefully on SIGHUP and SIGTERM."""
import os, signal, socket, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"Hello from {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("", 0), Hello, bind_and_activate=False)
server.daemon_threads = False  # leaving waits for the requests that have begun
server.socket = socket.socket(fileno=3)
server.socket.setblocking(False)  # the other version may be quicker to accept


def leave(*_):
    threading.Thread(target=server.shutdown).start()


for name in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
    signal.signal(name, leave)
print("ready", flush=True)
server.serve_forever(poll_interval=0.1)
server.server_close()
