"""What goes into a report has nobody's names, places and secrets in it, and is still of use."""

from __future__ import annotations

import re
import time
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.doctor.redaction import Redactor

HOME = "/home/alice"
WORDS = {
    "container": ["web", "db-1", "active", "x"],
    "image": ["nginx:1.29", "registry.corp.lan/shop/web"],
    "host": ["mybox"],
    "user": ["alice", "root"],
}


def redacted(text: str) -> str:
    return Redactor(WORDS, HOME).text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "container web has it; web, db-1",
            "container <container-1> has it; <container-1>, <container-2>",
        ),
        ("web-2 webby myweb", "web-2 webby myweb"),
        ("image nginx:1.29 of registry.corp.lan/shop/web", "image <image-1> of <image-2>"),
        ("ssh:alice@mybox:2222", "ssh:<user-1>@<host-1>:2222"),
        ("carol@far.example.org: no", "<user-1>@<host-1>: no"),
        ("/home/alice/.ssh/id", "~/.ssh/id"),
        ("unix:///home/alice/run/api.sock", "unix://~/run/api.sock"),
        ("/home/bob/x, /Users/eve, C:\\Users\\mallory\\y", "~/x, ~, ~\\y"),
        ("/homes /home/alices", "/homes ~"),
        ("192.0.2.7:80 and 192.0.2.7.", "<address-1>:80 and <address-1>."),
        ("[2001:db8::1]:22 fe80::1%eth0", "[<address-1>]:22 <address-2>"),
        ("::ffff:192.0.2.7", "<address-1>"),
        ("02:42:ac:11:00:02", "<mac-1>"),
        ("id 8eb9bbf38722", "id <hex-1>"),
        ("see db.corp.lan, https://u:p@x.com/a", "see <host-1>, https://<login>@<host-2>/a"),
        ("password: hunter2, token=abc", "password: <secret>, token=<secret>"),
        ('"passphrase": "open sesame"', '"passphrase": <secret>'),
        ("Authorization: Bearer abc.def", "Authorization: <secret>"),
        ("SHA256:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abc", "SHA256:<random-1>"),
    ],
)
def test_what_tells_of_somebody_has_a_stand_in(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-27 13:22:28,932 INFO desktop.daemon.main: samehost 0.1.0 begins, process 19747",
        "listening on 127.0.0.1:80, 127.9.9.9, [::1]:80, :: and 0.0.0.0:8000",
        "kernel 6.18.44-fc-v669, Python 3.11.2, agent 0.1.0, over unix",
        "eBPF, sock_diag; the desktop's ports by redirect",
        "samehost settings set remap '{\"tcp:8000\": 18000}'",
        "/run/docker.sock, /etc/samehost/admin-settings.json, /proc/17/root/run",
        "root, localhost, sandbox",
        "ip_unprivileged_port_start is 1024; 1048576 files",
        "",
    ],
)
def test_what_tells_of_nobody_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_quoted_secret_goes_whole_though_there_is_a_quote_in_it() -> None:
    text = redacted(r'{"password": "a\"b-tail", "port": 8000}')
    assert text == '{"password": <secret>, "port": 8000}'


def test_a_private_key_goes_as_a_whole_though_its_end_was_cut_off() -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1\nzZWNyZXQ=\n"
    whole = f"before {key}-----END OPENSSH PRIVATE KEY----- after"
    assert redacted(whole) == "before <private key> after"
    assert redacted(f"before {key}") == "before <private key>"


def test_the_same_is_the_same_throughout_a_report() -> None:
    redactor = Redactor(WORDS, HOME)
    first = redactor.text("web at 192.0.2.7")
    assert redactor.text("db-1 at 192.0.2.8, then web at 192.0.2.7").endswith(first)


def test_what_samehost_says_stays_though_a_container_is_called_so() -> None:
    row = {
        "state": "active",
        "protocol": "tcp",
        "host_port": 80,
        "container": {"id": "8eb9bbf38722", "name": "active", "runtime": "docker"},
        "reason": "container active is in the way",
        "flows": 0,
        "process": None,
    }
    assert Redactor(WORDS, HOME).value(row) == {
        **row,
        "container": {"id": "<container-1>", "name": "<container-2>", "runtime": "docker"},
        "reason": "container <container-2> is in the way",
    }


def test_a_name_of_one_letter_is_replaced_where_names_are() -> None:
    found = Redactor(WORDS, HOME).value([{"container": {"name": "x"}, "reason": "x 1"}])
    assert found == [{"container": {"name": "<container-1>"}, "reason": "x 1"}]


def test_fields_that_are_called_like_secrets_are_empty_of_them() -> None:
    value = {"passphrase": "short", "api_key": ["a"], "token": "", "secretly": {"web": 1}}
    assert Redactor(WORDS, HOME).value(value) == {
        "passphrase": "<secret>",
        "api_key": ["<secret>"],
        "token": "",
        "secretly": {"web": 1},
    }


def test_keys_of_objects_that_are_no_fields_are_texts() -> None:
    assert Redactor(WORDS, HOME).value({"192.0.2.7 web": 1}) == {"<address-1> <container-1>": 1}


addresses = st.ip_addresses().filter(lambda each: not each.is_loopback and int(each) > 1)


@given(addresses, st.sampled_from(["at {} port 80", "[{}]:80", "{}", "({})", "to {}, and"]))
def test_no_address_but_loopback_gets_through(
    address: IPv4Address | IPv6Address, around: str
) -> None:
    text = Redactor({}).text(around.format(address))
    assert str(address) not in text
    assert "<address-1>" in text


@given(st.binary(min_size=16, max_size=64).filter(lambda secret: re.search("[a-f]", secret.hex())))
def test_no_secret_in_hexadecimal_gets_through(secret: bytes) -> None:
    if re.search("[0-9]", secret.hex()):
        assert secret.hex() not in Redactor({}).text(f"order {secret.hex()} given")


@given(st.text(max_size=200))
def test_no_address_is_left_in_any_text(text: str) -> None:
    once = redacted(text)
    for word in re.findall(r"[\w.:]+", once):
        try:
            left = ip_address(word.strip("."))
        except ValueError:
            continue
        assert left.is_loopback or left.is_unspecified


@given(st.sampled_from(["web", "db-1", "alice", "mybox", "nginx:1.29"]), st.text("ab .,;:/()'\"\n"))
def test_a_known_name_that_stands_alone_never_gets_through(word: str, around: str) -> None:
    text = redacted(f"{around} {word} {around}")
    assert f" {word} " not in text


def test_a_word_as_long_as_a_log_is_redacted_in_a_moment() -> None:
    began = time.thread_time()
    assert redacted("a" * 100_000) == "a" * 100_000
    assert time.thread_time() - began < 2
