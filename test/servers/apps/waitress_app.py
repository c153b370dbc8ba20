# waitress takes sockets from a program alone.
import socket
import waitress
from app import app

listener = socket.socket(fileno=3)
listener.setblocking(False)  # another version may be quicker
waitress.serve(app, sockets=[listener], threads=16)
