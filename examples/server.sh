#!/bin/sh
# The smallest server that takes fd 3: it leaves on SIGHUP as any program does that knows no better, at once.
exec python3 -c 'import socket
listener = socket.socket(fileno=3)
while True:
    peer, _ = listener.accept()
    peer.recv(65536)
    peer.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nHello\n")
    peer.close()'
