"""What a hostile container does to the agent, as one program: `python3 -c SOURCE WHAT ARGUMENT…`.

It prints what it has learned, as JSON. It imports nothing of Samehost: it runs in the machine, with
the Python of this computer. Counterpart: `test_hostile_container.py`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["HOSTILE"]

HOSTILE: Final = r"""
import ctypes, errno, json, os, random, resource, select, socket, sys, time

def connect(address, port):
    client = socket.socket()
    client.settimeout(5)
    client.connect((address, port))
    return client

def hear(client, most=1 << 16):
    heard = b""
    try:
        while len(heard) < most and (part := client.recv(4096)):
            heard += part
    except OSError:
        pass
    return heard

def silent(address, ports, count):
    # Says nothing, and holds whatever is held open for it, for as long as there is input.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = []
    for number in range(count):
        try:
            clients.append(connect(address, ports[number % len(ports)]))
        except OSError:
            pass
    print(json.dumps({"opened": len(clients)}), flush=True)
    sys.stdin.read()
    learned = 0
    for client in clients:
        client.setblocking(False)
        learned += len(hear(client))
    print(json.dumps({"learned": learned}), flush=True)

def flood(address, ports, words, held, places):
    # Knocks, says something and goes, as fast as it can, for as long as there is input; so many
    # connections are held at a time. Says so once it has knocked more often than there are places.
    count, words, waiting = 0, bytes.fromhex(words), []
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            client = connect(address, ports[count % len(ports)])
            waiting.append(client)
            client.sendall(words)
            count += 1
            if count == places + 1:
                print(json.dumps({"knocked": count}), flush=True)
        except OSError:
            pass
        if len(waiting) > held:
            waiting.pop(0).close()
    print(json.dumps({"knocked": count}), flush=True)

def damaged(recorded):
    data = bytearray(random.choice(recorded))
    for _ in range(random.randrange(1, 6)):
        place = random.randrange(len(data) + 1)
        what = random.randrange(4)
        if what == 0:
            del data[place:place + random.randrange(1, 9)]
        elif what == 1:
            data[place:place] = os.urandom(random.randrange(1, 9))
        elif what == 2 and place < len(data):
            data[place] ^= 1 << random.randrange(8)
        else:
            data += random.choice(recorded)
    return bytes(data)

def noise(address, ports, seed, count, recorded):
    random.seed(seed)
    recorded = [bytes.fromhex(each) for each in recorded]
    answers = []
    for number in range(count):
        client = connect(address, ports[number % len(ports)])
        words = damaged(recorded) if number % 2 else random.randbytes(random.randrange(1, 3000))
        try:
            client.sendall(words)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answers.append(hear(client).hex())
        client.close()
    print(json.dumps({"answers": answers}))

def replay(address, ports, parts):
    # The desktop's own words, as they were recorded, in its own rhythm.
    answers = []
    for port in ports:
        client = connect(address, port)
        heard = b""
        for part in map(bytes.fromhex, parts):
            try:
                client.sendall(part)
                heard += client.recv(4096)
            except OSError:
                pass
        answers.append((heard + hear(client)).hex())
        client.close()
    print(json.dumps({"answers": answers}))

def take(address, ports):
    # Every way to have the agent's ports as well.
    taken = []
    for port in ports:
        for family, place in ((2, address), (2, "0.0.0.0"), (10, "::")):
            for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
                server = socket.socket(family)
                try:
                    if option is not None:
                        server.setsockopt(socket.SOL_SOCKET, option, 1)
                    server.bind((place, port))
                    server.listen()
                    taken.append((place, port))
                except OSError as error:
                    assert error.errno == errno.EADDRINUSE, error
                server.close()
    print(json.dumps({"taken": taken}))

def impostor(address, ports):
    # Takes the ports the moment they are free, and answers as an agent would that has no secret.
    servers, heard = {}, []
    print(json.dumps({"begun": True}), flush=True)
    while not select.select([sys.stdin, *servers], [], [], 0.001)[0].count(sys.stdin):
        for port in ports:
            if port in servers.values():
                continue
            server = socket.socket()
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind((address, port))
                server.listen(64)
                servers[server] = port
            except OSError:
                server.close()
        for server in select.select(list(servers), [], [], 0)[0]:
            client = server.accept()[0]
            client.settimeout(0.5)
            said = hear(client, 39)
            try:
                client.sendall(b"SMHO" + said[4:6] + os.urandom(32))
                said += hear(client, 32)
                client.sendall(os.urandom(32))
                said += hear(client, 1)
            except OSError:
                pass
            heard.append(said.hex())
            client.close()
    print(json.dumps({"taken": sorted(servers.values()), "heard": heard}), flush=True)

def look(pid):
    # Everything that /proc and the calls for debuggers tell of a process.
    libc = ctypes.CDLL(None, use_errno=True)
    found = {"uid": os.getuid()}
    # How many descriptors there are root may count; what they are is another matter.
    links = ("root", "cwd", "exe", "fd/0", "ns/net")
    for name in ("environ", "mem", "maps", "stack", "syscall", "auxv", *links):
        path = f"/proc/{pid}/{name}"
        try:
            found[name] = os.readlink(path) if name in links else open(path, "rb").read(64).hex()
        except OSError as error:
            found[name] = errno.errorcode[error.errno]
    failed = libc.ptrace(16, pid, 0, 0)
    found["attach"] = errno.errorcode.get(ctypes.get_errno(), "") if failed else "done"
    word = ctypes.create_string_buffer(8)
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
    here = Vector(ctypes.addressof(word), 8)
    there = Vector(0x400000, 8)
    size = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    found["read"] = errno.errorcode.get(ctypes.get_errno(), "") if size < 0 else "done"
    found["cmdline"] = open(f"/proc/{pid}/cmdline", "rb").read().decode()
    print(json.dumps(found))

what, *arguments = sys.argv[1:]
globals()[what](*map(json.loads, arguments))
"""
"""See the module. Arguments are JSON."""
