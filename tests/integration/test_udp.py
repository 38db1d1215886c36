"""UDP with a real engine, both ways: who is answered, from where, and how whole."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from link.maturity import MATURITY_SECONDS
from link.sockdiag import ephemeral_ports
from tests.integration import typed, udp
from tests.integration.conftest import require_root
from tests.integration.other_host import OtherHost, other_host
from tests.integration.samehost import PATIENCE, quiet_ports, until
from tests.integration.servers import (
    LOOKUPS,
    NAMES,
    UDP_ASKER,
    UDP_CLIENT,
    UDP_CROWD,
    UDP_ECHO,
    UDP_ONCE,
    UDP_TELLER,
)
from tests.integration.stage import Stage, open_stage
from tests.integration.typed import Typed
from tests.promptness import promptly

LOOPBACK = ["127.0.0.1", "::1"]
REST_SECONDS = 3.0
"""Within this time a bind of which no event tells has been seen (`test_semantics.py`)."""

ROW_KEYS = [
    *("origin", "protocol", "machine_address", "machine_port", "host_address", "host_port"),
    *("state", "reason", "container", "process", "flows", "bytes_in", "bytes_out", "since"),
    *("machine", "guarded"),
]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One for all tests of this module, which leave no listener behind."""
    require_root()
    with open_stage() as stage:
        yield stage


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return quiet_ports(1)


@pytest.fixture
def limits(stage: Stage) -> Iterator[Stage]:
    """The stage, whose limits are as they were afterwards."""
    yield stage
    stage.reset()


def wait_for_mirror(stage: Stage, port: int, count: int = 1, origin: str = "machine") -> None:
    """Until all `count` mirrors of a real UDP listener are open."""
    stage.table.until(
        lambda: stage.table.states("udp", port, origin) == ["active"] * count, f"udp {port}"
    )


# Who reaches whom.


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_containers_udp_server_answers_clients_of_this_computer(
    stage: Stage, port: int, address: str
) -> None:
    with stage.samehost.python(UDP_ECHO, address, str(port)):
        wait_for_mirror(stage, port)
        with udp.client(address, port) as client:
            assert udp.ask(client, b"hello container") == b"hello container"
    stage.table.until(lambda: stage.table.rows("udp", port) == [], "the row to go")
    until(lambda: udp.refused(address, port), "the mirror to go")


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize("bound", ["loopback", "wildcard"])
def test_a_container_is_answered_by_this_computers_udp_server(
    stage: Stage, port: int, address: str, bound: str
) -> None:
    wildcard = "::" if ":" in address else "0.0.0.0"
    with udp.teller(address if bound == "loopback" else wildcard, port):
        wait_for_mirror(stage, port, origin="host")
        words = udp.in_container(
            stage.samehost, UDP_CLIENT, address, str(port), "5", "hello", "desktop"
        )
    first, second = (line.split(" ") for line in words)
    assert (first[1], second[1]) == ("hello", "desktop")
    assert first[0] == second[0]
    stage.table.until(lambda: stage.table.rows("udp", port, "host") == [], "the row to go")
    gone = udp.in_container(stage.samehost, UDP_CLIENT, address, str(port), "1", "hello?")
    assert gone == ["refused"]


def test_a_server_made_of_socat_has_a_conversation_with_each_client(
    stage: Stage, port: int
) -> None:
    """It connects its socket to each client, and opens another for the next."""
    with stage.samehost.container("socat", f"UDP4-LISTEN:{port},fork,reuseaddr", "EXEC:cat"):
        wait_for_mirror(stage, port)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(udp.client("127.0.0.1", port)) for _ in range(4)]
            for turn in range(4):
                for number, client in enumerate(clients):
                    words = b"turn %d of %d" % (turn, number)
                    assert udp.ask(client, words) == words


def test_a_name_server_in_a_container_is_asked_from_here(stage: Stage, port: int) -> None:
    with stage.samehost.python(NAMES, str(port), "192.0.2.7"):
        wait_for_mirror(stage, port)
        with udp.client("127.0.0.1", port) as client:
            response = udp.ask(client, query(0x1234, "web.example"))
    assert response[:4] == bytes.fromhex("1234 8180")
    assert response[-4:] == socket.inet_aton("192.0.2.7")


def query(number: int, name: str) -> bytes:
    """A question for a name's address (RFC 1035, 4.1)."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    head = bytes.fromhex("0100 0001 0000 0000 0000")
    return number.to_bytes(2, "big") + head + labels + bytes.fromhex("00 0001 0001")


def converse(client: Typed, server: Typed) -> None:
    for turn in range(3):
        client.types(f"question {turn}")
        assert server.shows() == f"question {turn}"
        server.types(f"answer {turn}")
        assert client.shows() == f"answer {turn}"
        time.sleep(0.5)  # longer than any look at listeners takes


def test_two_people_with_netcat_talk_to_each_other(stage: Stage, port: int) -> None:
    listening = typed.inside(stage.samehost, "nc", "nc", "-lu", "0.0.0.0", str(port))
    with listening as server:
        wait_for_mirror(stage, port)
        with typed.here("nc", "-u", "127.0.0.1", str(port)) as client:
            converse(client, server)


def test_two_people_with_netcat_talk_the_other_way_too(stage: Stage, port: int) -> None:
    with typed.here("nc", "-lu", "127.0.0.1", str(port)) as server:
        wait_for_mirror(stage, port, origin="host")
        asking = typed.inside(stage.samehost, "nc", "nc", "-u", "127.0.0.1", str(port))
        with asking as client:
            converse(client, server)


# From which address.


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[OtherHost]:
    """Another computer, which this one has four addresses for."""
    require_root()
    with other_host() as host:
        yield host


def test_a_client_on_another_computer_is_answered_by_the_address_it_asked(
    stage: Stage, port: int, elsewhere: OtherHost
) -> None:
    with stage.samehost.python(UDP_TELLER, "::", str(port), "dual"):
        wait_for_mirror(stage, port, 2)
        ports = set()
        for address in elsewhere.addresses:
            with elsewhere.socket(udp.family_of(address), socket.SOCK_DGRAM) as client:
                client.settimeout(PATIENCE)
                client.connect((address, port))
                for turn in range(3):
                    port_heard, _, words = udp.ask(client, b"turn %d" % turn).partition(b" ")
                    assert words == b"turn %d" % turn
                    ports.add(port_heard)
        assert len(ports) == len(elsewhere.addresses)


@pytest.mark.parametrize("family", [4, 6])
def test_one_client_that_asks_two_addresses_is_answered_by_each(
    stage: Stage, port: int, elsewhere: OtherHost, family: int
) -> None:
    addresses = elsewhere.addresses[:2] if family == 4 else elsewhere.addresses[2:]
    with stage.samehost.python(UDP_ECHO, "::", str(port), "dual"):
        wait_for_mirror(stage, port, 2)
        with elsewhere.socket(udp.family_of(addresses[0]), socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            for _ in range(3):
                for address in addresses:
                    client.sendto(address.encode(), (address, port))
                for _ in addresses:
                    words, sender = client.recvfrom(100)
                    assert sender[:2] == (words.decode(), port)


def test_a_client_elsewhere_does_not_reach_a_loopback_server(
    stage: Stage, port: int, elsewhere: OtherHost
) -> None:
    with stage.samehost.python(UDP_ECHO, "127.0.0.1", str(port)):
        wait_for_mirror(stage, port)
        with elsewhere.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.connect((elsewhere.addresses[0], port))
            with pytest.raises(ConnectionRefusedError):
                udp.ask(client, b"hello")


# Flows.


def test_each_of_two_clients_keeps_one_port_at_the_server(stage: Stage, port: int) -> None:
    with stage.samehost.python(UDP_TELLER, "0.0.0.0", str(port)):
        wait_for_mirror(stage, port)
        ports = set()
        with udp.client("127.0.0.1", port) as one, udp.client("127.0.0.1", port) as two:
            for turn in range(50):
                asked = [b"one %d" % turn, b"two %d" % turn]
                one.send(asked[0])
                two.send(asked[1])
                for client, words in zip((one, two), asked, strict=True):
                    port_heard, _, heard = client.recv(100).partition(b" ")
                    assert heard == words
                    ports.add((client, port_heard))
                time.sleep(random.choice([0, 0, 0.03, 0.1]))  # a pause is what is tested
        assert len(ports) == len({port_heard for _, port_heard in ports}) == 2


def test_flows_and_bytes_are_counted_where_rows_and_status_show_them(
    stage: Stage, port: int
) -> None:
    before = stage.samehost.status()
    with stage.samehost.python(UDP_TELLER, "0.0.0.0", str(port)) as container:
        wait_for_mirror(stage, port)
        with udp.client("127.0.0.1", port) as client:
            answer = udp.ask(client, bytes(1000))
            until(lambda: stage.samehost.rows(port)[0]["flows"] == 1, "the flow")
            (row,) = stage.samehost.rows(port)
            status = stage.samehost.status()
    assert list(row) == ROW_KEYS
    assert (row["origin"], row["protocol"], row["state"]) == ("machine", "udp", "active")
    assert (row["machine_address"], row["machine_port"]) == ("0.0.0.0", port)
    assert (row["host_address"], row["host_port"]) == ("0.0.0.0", port)
    assert (row["bytes_in"], row["bytes_out"]) == (len(answer), 1000)
    assert row["container"]["id"] == container
    assert row["process"] == "python3"
    assert row["reason"] == ""
    assert status["flows"]["udp"] == before["flows"]["udp"] + 1
    assert status["bytes"]["in"] == before["bytes"]["in"] + len(answer)
    assert status["bytes"]["out"] == before["bytes"]["out"] + 1000
    until(
        lambda: stage.samehost.status()["flows"]["udp"] == before["flows"]["udp"],
        "the flow to end with its mirror",
    )


def test_flows_of_containers_are_counted_the_same_way(stage: Stage, port: int) -> None:
    with udp.server("127.0.0.1", port) as server:
        wait_for_mirror(stage, port, origin="host")
        talker = stage.samehost.python(UDP_CLIENT, "127.0.0.1", str(port), "60", "x" * 500)
        with talker:
            server.settimeout(PATIENCE)
            data, peer = server.recvfrom(1000)
            server.sendto(b"y" * 700, peer)
            until(lambda: stage.samehost.rows(port, "host")[0]["bytes_out"] == 700, "the count")
            (row,) = stage.samehost.rows(port, "host")
    assert len(data) == 500
    assert list(row) == ROW_KEYS
    assert (row["flows"], row["bytes_in"], row["bytes_out"]) == (1, 500, 700)
    assert (row["machine_address"], row["host_address"]) == ("127.0.0.1", "127.0.0.1")
    assert row["container"] is None


@pytest.mark.parametrize("moment", ["before the flow", "during the flow"])
def test_a_silent_flow_ends_and_the_next_has_another_port(
    limits: Stage, port: int, moment: str
) -> None:
    stage = limits
    if moment == "before the flow":
        stage.set("udpIdleSeconds", 1)
    with stage.samehost.python(UDP_TELLER, "0.0.0.0", str(port)):
        wait_for_mirror(stage, port)
        with udp.client("127.0.0.1", port) as client:
            first = udp.ask(client, b"first").split()[0]
            # Who asks is told at once; the table, once a second, may miss so short a flow.
            until(lambda: stage.samehost.rows(port)[0]["flows"] == 1, "the flow")
            if moment == "during the flow":
                stage.set("udpIdleSeconds", 1)
            until(lambda: stage.samehost.rows(port)[0]["flows"] == 0, "its end")
            assert stage.samehost.status()["flows"]["udp"] == 0
            assert udp.ask(client, b"second").split()[0] != first


def test_a_flow_that_speaks_now_and_then_lives_on(limits: Stage, port: int) -> None:
    stage = limits
    stage.set("udpIdleSeconds", 4)
    with stage.samehost.python(UDP_TELLER, "0.0.0.0", str(port)):
        wait_for_mirror(stage, port)
        with udp.client("127.0.0.1", port) as client:
            ports = set()
            for _ in range(7):
                ports.add(udp.ask(client, b"still here").split()[0])
                time.sleep(1)  # silence is what is tested
    assert len(ports) == 1


def test_more_clients_than_the_limit_evict_the_oldest_and_the_row_tells(
    limits: Stage, port: int
) -> None:
    stage = limits
    with stage.samehost.python(UDP_TELLER, "0.0.0.0", str(port)):
        wait_for_mirror(stage, port)
        stage.set("maxUdpFlows", 8)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(udp.client("127.0.0.1", port)) for _ in range(10)]
            first = [udp.ask(client, b"first").split()[0] for client in clients]
            again = udp.ask(clients[-1], b"again").split()[0]
            assert again == first[-1]
            stage.table.until(
                lambda: "2 flows evicted" in stage.table.rows("udp", port)[0]["reason"],
                "the word of evictions",
            )
            # What was evicted made room for more than one: the last may not be counted yet.
            stage.table.until(lambda: stage.table.rows("udp", port)[0]["flows"] == 8, "8 flows")
            assert "maxUdpFlows" in stage.table.rows("udp", port)[0]["reason"]
            evicted = udp.ask(clients[0], b"evicted").split()[0]
            assert evicted not in first


def test_evictions_of_containers_flows_are_told_as_well(limits: Stage, port: int) -> None:
    stage = limits
    with udp.teller("127.0.0.1", port):
        wait_for_mirror(stage, port, origin="host")
        stage.set("maxUdpFlows", 4)
        answers = udp.in_container(stage.samehost, UDP_CROWD, "127.0.0.1", str(port), "6")
        assert [answer.split(" ")[1] for answer in answers] == ["hello"] * 6
        stage.table.until(
            lambda: "2 flows evicted" in stage.table.rows("udp", port, "host")[0]["reason"],
            "the word of evictions",
        )


# Whole.


def test_datagrams_of_every_size_pass_whole_both_ways(stage: Stage, port: int) -> None:
    with stage.samehost.python(UDP_ECHO, "0.0.0.0", str(port)):
        wait_for_mirror(stage, port)
        with udp.client("127.0.0.1", port) as client:
            for size in (0, 1, 1472, 9000, 65_507):
                data = os.urandom(size)
                assert udp.ask(client, data) == data


def test_a_burst_keeps_its_order_and_its_boundaries(stage: Stage, port: int) -> None:
    window, count = 32, 2000
    choose = random.Random(3)
    sent = [
        b"%d " % turn + choose.randbytes(choose.choice([0, 1, 100, 100, 100, 512, 1400]))
        for turn in range(count)
    ]
    with stage.samehost.python(UDP_ECHO, "127.0.0.1", str(port)):
        wait_for_mirror(stage, port)
        with udp.client("127.0.0.1", port) as client:
            heard: list[bytes] = []
            for turn, words in enumerate(sent):
                client.send(words)
                if turn >= window:
                    heard.append(client.recv(2000))
            heard += [client.recv(2000) for _ in range(window)]
    assert heard == sent


TURNS = 50


def test_the_last_words_of_a_server_that_closes_at_once_arrive(stage: Stage, port: int) -> None:
    serving = typed.python_inside(stage.samehost, "server", UDP_ONCE, "127.0.0.1", str(port))
    with serving as server, udp.client("127.0.0.1", port) as client:
        for turn in range(TURNS):
            server.types("serve")
            wait_for_mirror(stage, port)
            assert udp.ask(client, b"%d" % turn) == b"%d" % turn
            assert server.shows() == f"served {turn}"
            stage.table.until(lambda: stage.table.rows("udp", port) == [], "the row to go")


def test_the_last_words_of_this_computers_server_arrive_in_a_container(
    stage: Stage, port: int
) -> None:
    asking = typed.python_inside(stage.samehost, "client", UDP_ASKER, "127.0.0.1", str(port), "5")
    with asking as client, typed.python_here(UDP_ONCE, "127.0.0.1", str(port)) as server:
        for turn in range(TURNS):
            server.types("serve")
            wait_for_mirror(stage, port, origin="host")
            client.types(str(turn))
            assert client.shows() == str(turn)
            assert server.shows() == f"served {turn}"
            stage.table.until(lambda: stage.table.rows("udp", port, "host") == [], "the row to go")


def test_a_server_that_comes_back_answers_the_socket_that_was_there(
    stage: Stage, port: int
) -> None:
    serving = typed.python_inside(stage.samehost, "server", UDP_ONCE, "127.0.0.1", str(port))
    with serving as server, udp.client("127.0.0.1", port) as client:
        for turn in range(3):
            server.types("serve")
            assert udp.answer(client, b"turn %d" % turn) == b"turn %d" % turn
            assert server.shows() == f"served turn {turn}"
            assert not udp.is_answered(client, b"nobody is there")
            assert not udp.is_answered(client, b"nor now")


# Who is no server.


@contextlib.contextmanager
def seen_meanwhile(stage: Stage) -> Iterator[list[tuple[str, str]]]:
    """Of whose UDP sockets `ports --watch --json` tells meanwhile: (origin, process), complete
    at the end."""
    told: list[tuple[str, str]] = []
    watcher = subprocess.Popen(
        stage.samehost.command("ports", "--watch", "--json"),
        env=stage.samehost.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    try:
        json.loads(watcher.stdout.readline())
        yield told
        last = quiet_ports(1)
        with stage.samehost.python(UDP_ECHO, "127.0.0.1", str(last)):
            while ("last", "") not in told:
                for row in json.loads(watcher.stdout.readline())["added"]:
                    if row["host_port"] == last:
                        told.append(("last", ""))
                    elif row["protocol"] == "udp":
                        told.append((row["origin"], row["process"]))
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()


def test_a_thousand_look_ups_of_a_container_make_no_mirror(stage: Stage, port: int) -> None:
    with seen_meanwhile(stage) as told:
        assert udp.in_container(stage.samehost, LOOKUPS, "127.0.0.1", str(port)) == ["looked up"]
    assert "machine" not in [origin for origin, _process in told]


def test_a_thousand_look_ups_of_this_computer_make_no_mirror(stage: Stage, port: int) -> None:
    with seen_meanwhile(stage) as told:
        with typed.python_here(LOOKUPS, "127.0.0.1", str(port)) as program:
            assert program.shows() == "looked up"
    assert "resolver" not in [process for _origin, process in told]


def test_a_server_on_a_port_of_the_kernels_choice_appears_after_a_second(stage: Stage) -> None:
    def mirrored_after() -> float:
        asked = time.monotonic()
        with stage.inside.serving("udp", "0.0.0.0", 0) as server:
            bound = time.monotonic()
            assert server.port in ephemeral_ports()
            wait_for_mirror(stage, server.port)
            mirrored = time.monotonic()
        assert mirrored - asked > MATURITY_SECONDS
        return mirrored - bound

    promptly(mirrored_after, MATURITY_SECONDS + REST_SECONDS)


def test_a_server_on_such_a_port_that_it_named_itself_does_not_wait_where_binds_are_told(
    stage: Stage,
) -> None:
    if "eBPF," not in stage.samehost.status()["machine"]["watcher"]:
        pytest.skip("this kernel tells of no binds")

    def mirrored_after() -> float:
        port = quiet_ports(1, among=ephemeral_ports())
        with stage.inside.serving("udp", "0.0.0.0", port):
            started = time.monotonic()
            wait_for_mirror(stage, port)
            return time.monotonic() - started

    promptly(mirrored_after, MATURITY_SECONDS)
