"""Programs that run inside containers, as Python source; `Samehost.python` starts them."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CROWD_ECHO",
    "ECHO",
    "GREETER",
    "HEIR",
    "LOOKUPS",
    "MANY",
    "MIXED",
    "NAMES",
    "ON_COMMAND",
    "UDP_ASKER",
    "UDP_CLIENT",
    "UDP_CROWD",
    "UDP_ECHO",
    "UDP_ONCE",
    "UDP_STEADY",
    "UDP_TELLER",
]

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

HEIR: Final = """
import ctypes, os, signal, socket, sys
PR_SET_NAME = 15
def call_it(name):
    ctypes.CDLL(None).prctl(PR_SET_NAME, name, 0, 0, 0)
def answer(server, words):
    if server.type == socket.SOCK_DGRAM:
        data, peer = server.recvfrom(100)
        server.sendto(words, peer)
    else:
        client, peer = server.accept()
        client.sendall(words)
        client.close()
if os.fork() == 0:
    call_it(b"parent")
    kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
    server = socket.socket(socket.AF_INET, kind)
    server.bind(("127.0.0.1", int(sys.argv[2])))
    if kind == socket.SOCK_STREAM:
        server.listen()
    if os.fork() == 0:
        call_it(b"heir")
        answer(server, b"the parent's")
        os.kill(os.getppid(), signal.SIGKILL)
        while os.getppid() != 1:
            pass
        while True:
            answer(server, b"the heir's")
    signal.pause()
while True:
    os.wait()
"""
"""tcp|udp port: the parent listens, its child serves; after the first client the parent is dead."""

CROWD_ECHO: Final = (
    _LISTEN
    + """
import resource, selectors
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
server = listen("127.0.0.1", int(sys.argv[1]))
server.listen(4096)
ready = selectors.DefaultSelector()
ready.register(server, selectors.EVENT_READ)
while True:
    for key, mask in ready.select():
        if key.fileobj is server:
            ready.register(server.accept()[0], selectors.EVENT_READ)
            continue
        try:
            data = key.fileobj.recv(65536)
            key.fileobj.sendall(data)
        except OSError:
            data = b""
        if not data:
            ready.unregister(key.fileobj)
            key.fileobj.close()
"""
)
"""port: echoes on 127.0.0.1, to thousands of clients at once."""

_BIND: Final = """
import socket, struct, sys, time
def bind(address, port, v6only=True):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    server.bind((address, port))
    return server
def connect(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.connect((address, port))
    return client
"""

UDP_ECHO: Final = (
    _BIND
    + """
server = bind(sys.argv[1], int(sys.argv[2]), sys.argv[3:] != ["dual"])
while True:
    data, client = server.recvfrom(65535)
    server.sendto(data, client)
"""
)
"""address port [dual]: gives each datagram back."""

UDP_TELLER: Final = (
    _BIND
    + """
server = bind(sys.argv[1], int(sys.argv[2]), sys.argv[3:] != ["dual"])
while True:
    data, client = server.recvfrom(65535)
    server.sendto(b"%d %b" % (client[1], data), client)
"""
)
"""address port [dual]: gives each datagram back after the port that it came from."""

UDP_ONCE: Final = (
    _BIND
    + """
for line in sys.stdin:
    server = bind(sys.argv[1], int(sys.argv[2]))
    data, client = server.recvfrom(65535)
    server.sendto(data, client)
    server.close()
    print("served", data.decode())
"""
)
"""address port: for each line that is typed binds, answers one datagram, and closes at once."""

_ASK: Final = """
def ask(client, words):
    try:
        client.send(words.encode())
        return client.recv(65535).decode()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silence"
"""

UDP_CLIENT: Final = (
    _BIND
    + _ASK
    + """
client = connect(sys.argv[1], int(sys.argv[2]))
client.settimeout(float(sys.argv[3]))
for words in sys.argv[4:]:
    print(ask(client, words))
"""
)
"""address port seconds words...: says each, from one socket, and prints each answer."""

UDP_ASKER: Final = (
    _BIND
    + _ASK
    + """
client = connect(sys.argv[1], int(sys.argv[2]))
client.settimeout(float(sys.argv[3]))
for line in sys.stdin:
    print(ask(client, line.rstrip()))
"""
)
"""address port seconds: the same for each line that is typed."""

UDP_CROWD: Final = (
    _BIND
    + _ASK
    + """
clients = [connect(sys.argv[1], int(sys.argv[2])) for _ in range(int(sys.argv[3]))]
for client in clients:
    client.settimeout(5)
    print(ask(client, "hello"))
"""
)
"""address port count: so many clients, each of which asks once and stays; prints each answer."""

UDP_STEADY: Final = (
    _BIND
    + """
client = connect(sys.argv[1], int(sys.argv[2]))
client.setblocking(False)
while True:
    for step in (lambda: client.send(b"still here"), lambda: print(client.recv(65535).decode())):
        try:
            step()
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            print("refused")
    time.sleep(0.01)
"""
)
"""address port: says the same for ever, a hundred times a second, and prints what it gets."""

NAMES: Final = (
    _BIND
    + """
server = bind("0.0.0.0", int(sys.argv[1]))
while True:
    query, client = server.recvfrom(512)
    header = query[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
    answer = bytes.fromhex("c00c 0001 0001 0000003c 0004") + socket.inet_aton(sys.argv[2])
    server.sendto(header + query[12:] + answer, client)
"""
)
"""port address: a name server that knows one address (RFC 1035, 4.1)."""

LOOKUPS: Final = (
    _BIND
    + """
import ctypes
PR_SET_NAME = 15
ctypes.CDLL(None).prctl(PR_SET_NAME, b"resolver", 0, 0, 0)
server = sys.argv[1], int(sys.argv[2])
held = [connect(*server) for _ in range(20)]
for _ in range(1000):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("0.0.0.0", 0))
    client.sendto(b"where is it?", server)
    client.settimeout(0.003)
    try:
        client.recv(512)
    except TimeoutError:
        pass
    client.close()
print("looked up")
"""
)
"""address port: asks a thousand times as a resolver does, from a new socket each time, and holds
some sockets that are connected."""

MIXED: Final = (
    _LISTEN.replace("def listen", "def listen_tcp")
    + _BIND
    + """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
first, count = int(sys.argv[1]), int(sys.argv[2])
servers = []
for i in range(count):
    address = ("127.0.0.1", "0.0.0.0")[i // 2 % 2]
    servers.append((listen_tcp, bind)[i % 2](address, first + i))
print("ready")
time.sleep(600)
"""
)
"""first count: listens on `count` ports from `first` on, TCP and UDP by turns, on loopback and
wildcard addresses by turns."""
