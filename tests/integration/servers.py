"""Programs that run inside containers, as Python source; `Samehost.python` starts them."""

from __future__ import annotations

from typing import Final

__all__ = ["ECHO", "GREETER", "MANY", "ON_COMMAND"]

_LISTEN: Final = """
import socket, sys, threading
def listen(address, port, v6only=True):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    server.bind((address, port))
    server.listen(100)
    return server
"""

GREETER: Final = (
    _LISTEN
    + """
address, port, v6only, words = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "v6only", sys.argv[4]
server = listen(address, port, v6only)
while True:
    client, peer = server.accept()
    client.sendall(words.encode())
    client.close()
"""
)
"""address port v6only|dual words: says `words` to each client and closes."""

ECHO: Final = (
    _LISTEN
    + """
server = listen("0.0.0.0", int(sys.argv[1]))
def serve(client):
    while data := client.recv(65536):
        client.sendall(data)
    client.close()
while True:
    client, peer = server.accept()
    threading.Thread(target=serve, args=(client,)).start()
    if sys.argv[2:] == ["once"]:
        server.close()
        break
"""
)
"""port [once]: gives back what it gets; `once` stops listening after the first client."""

MANY: Final = (
    _LISTEN
    + """
import resource, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
first, count = int(sys.argv[1]), int(sys.argv[2])
servers = [listen("127.0.0.1", first + i) for i in range(count)]
print("ready")
time.sleep(600)
"""
)
"""first count: listens on `count` ports from `first` on."""

ON_COMMAND: Final = (
    _LISTEN
    + """
port = int(sys.argv[1])
for turn in range(int(sys.argv[2])):
    server = listen("0.0.0.0", port)
    client, peer = server.accept()
    client.sendall(str(turn).encode())
    client.close()
    server.close()
"""
)
"""port turns: listens, serves one client with the number of the turn, closes, and again."""
