"""The one table of settings: key, default, what is a good value, what it is for.

Rules: pure. Values are JSON values, as in the file; `values.py` has their typed form. A check
raises UsageError that points at the place in the value (`ignore[2]`, `remap["tcp:8000"]`) and in
the rule that stands there; its remedy shows the expected form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from desktop.errors import UsageError
from desktop.settings.values import (
    DEFAULT_SANDBOX_NETWORK,
    HIGHEST_PORT,
    RepeatedNameError,
    RuleError,
    once_each,
    parse_remap_key,
    parse_rule,
)

__all__ = ["KEYS", "SWITCH", "Key", "find_key", "parse_text"]

SWITCH: Final = "hostNetworkingEnabled"
"""The key of the switch."""

LONGEST_NAME: Final = 100
"""Characters of a machine's name."""

MOST_MACHINES: Final = 16
"""Each costs streams and an agent; nobody has as many."""

LONGEST_IDLE_SECONDS: Final = 86_400
MOST_UDP_FLOWS: Final = 65_536
"""Each flow has a socket; more than this no system opens for one process by default."""

MOST_RULES: Final = 1_000
SMALLEST_NETWORK: Final = 30
"""Prefix length of a network with two usable addresses (RFC 950), which a sandbox takes."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting.

    Attributes:
        name: as in the file.
        default: its JSON value for those who never chose.
        form: what a value looks like, for people.
        help: what it does, in one line.
        problem: what is wrong with a JSON value, or None. The text begins with the place in
            the value, such as "[2] …", or with a blank for the value as a whole.
        plain: the JSON value that a text which is not JSON stands for; None if there is none.
        begins: when a value counts that is chosen while the daemon runs; "" for at once.
    """

    name: str
    default: object
    form: str
    help: str
    problem: Callable[[object], str | None]
    plain: Callable[[str], object] | None = None
    begins: str = ""

    def check(self, value: object) -> None:
        """Raise UsageError if `value` is no good."""
        problem = self.problem(value)
        if problem is not None:
            raise UsageError(f"{self.name}{problem}", f"expected {self.form}")


def find_key(name: str) -> Key:
    """The setting called `name`. Raises UsageError, which lists what there is."""
    key = KEYS.get(name)
    if key is None:
        raise UsageError(f'there is no setting "{name}"', f"settings are: {', '.join(KEYS)}")
    return key


def parse_text(name: str, text: str) -> object:
    """The value that somebody typed for a setting: JSON, or plain text. Raises UsageError."""
    key = find_key(name)
    try:
        value = json.loads(text, object_pairs_hook=once_each)
    except RepeatedNameError as error:
        raise UsageError(f"{name} has {error}", f"expected {key.form}") from error
    except (ValueError, RecursionError):
        return _plain(key, text)
    is_wrong = key.problem(value) is not None and not isinstance(value, list | dict)
    if is_wrong and (key.plain is not None or key.problem(text) is None):
        return _plain(key, text)
    key.check(value)
    return value


def _plain(key: Key, text: str) -> object:
    value = text if key.plain is None else key.plain(text)
    key.check(value)
    return value


def _quoted(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "…"


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else f" is {_quoted(value)}, not true or false"


def _integer(lowest: int, highest: int) -> Callable[[object], str | None]:
    def problem(value: object) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return f" is {_quoted(value)}, not a whole number"
        if not lowest <= value <= highest:
            return f" is {_quoted(value)}, not between {lowest} and {highest}"
        return None

    return problem


def _choice(*choices: str) -> Callable[[object], str | None]:
    def problem(value: object) -> str | None:
        return None if value in choices else f" is {_quoted(value)}, which is no choice"

    return problem


def _machine(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return f" is {_quoted(value)}, not a name"
    good = 0 < len(value) <= LONGEST_NAME and value.isprintable() and value == value.strip()
    return None if good and "/" not in value else f" is {_quoted(value)}, which cannot be a name"


def _machines(value: object) -> str | None:
    if not isinstance(value, list):
        return f" is {_quoted(value)}, not a list"
    if len(value) > MOST_MACHINES:
        return f" has {len(value)} names, more than {MOST_MACHINES}"
    for index, item in enumerate(value):
        problem = " is null, not a name" if item is None else _machine(item)
        if problem is not None:
            return f"[{index}]{problem}"
        if item in value[:index]:
            return f"[{index}] {_quoted(item)} is there twice"
    return None


def _rules(value: object) -> str | None:
    if not isinstance(value, list):
        return f" is {_quoted(value)}, not a list"
    if len(value) > MOST_RULES:
        return f" has {len(value)} rules, more than {MOST_RULES}"
    for index, item in enumerate(value):
        if not isinstance(item, str):
            return f"[{index}] is {_quoted(item)}, not text"
        try:
            parse_rule(item)
        except RuleError as error:
            return f"[{index}] {_quoted(item)} {_pointed(error, item)}"
    return None


def _pointed(error: RuleError, text: str) -> str:
    """What is wrong with a rule, and where in its text."""
    is_all = error.place == text
    return error.problem if is_all else f"{error.problem} (at {_quoted(error.place)})"


def _remap(value: object) -> str | None:
    if not isinstance(value, dict):
        return f" is {_quoted(value)}, not an object"
    if len(value) > MOST_RULES:
        return f" has {len(value)} entries, more than {MOST_RULES}"
    seen: dict[object, str] = {}
    for name, port in value.items():
        place = f"[{_quoted(name)}]"
        try:
            protocol, number = parse_remap_key(name)
        except RuleError as error:
            return f"{place} {_pointed(error, name)}"
        problem = _integer(1, HIGHEST_PORT)(port)
        if problem is not None:
            return place + problem
        for what, words in (((protocol, number, "from"), "names"), ((protocol, port), "leads to")):
            other = seen.setdefault(what, name)
            if other != name:
                return f"{place} {words} the same port as {_quoted(other)}"
    return None


def _networks(value: object) -> str | None:
    if not isinstance(value, str):
        return f" is {_quoted(value)}, not text"
    for part in value.split(","):
        problem = _network(part.strip())
        if problem is not None:
            return f" {_quoted(part.strip())} {problem}"
    return None


def _network(text: str) -> str | None:
    # The module is slow to import and nothing else here needs it.
    from ipaddress import IPv4Network

    if "/" not in text:
        return "is not a network in CIDR notation"
    try:
        network = IPv4Network(text)
    except ValueError as error:
        return f"is not a network: {error}"
    if not network.is_private or network.is_loopback or network.is_link_local:
        return "is not a private network"
    if network.prefixlen > SMALLEST_NETWORK:
        return f"has no room for a /{SMALLEST_NETWORK}"
    return None


def _plain_list(text: str) -> object:
    return [item.strip() for item in text.split(",")] if text.strip() else []


_TRUTH: Final = "true or false"
_AT_ATTACHING: Final = "at the next: samehost up"
_AT_START: Final = "after: samehost down, then samehost up"

KEYS: Final[Mapping[str, Key]] = {
    key.name: key
    for key in (
        Key(SWITCH, False, _TRUTH, "the switch: --net=host means this computer", _boolean),
        Key(
            "machine",
            None,
            'the name of a machine (see "samehost machine list"), or null to find one',
            "which machine to use",
            _machine,
            begins=_AT_ATTACHING,
        ),
        Key(
            "alsoAttach",
            [],
            'names of machines such as ["sandbox-b"]',
            "machines that `samehost up` attaches beside that one",
            _machines,
            _plain_list,
            begins=_AT_ATTACHING,
        ),
        Key("reachHost", True, _TRUTH, "containers reach this computer's localhost", _boolean),
        Key(
            "portBinding",
            "as-bound",
            "as-bound or localhost",
            "where a listener on all addresses appears on this computer",
            _choice("as-bound", "localhost"),
        ),
        Key(
            "ignore",
            [],
            'rules such as ["udp:5353", "tcp:7000-7010", "machine:tcp:22"]',
            "ports that are left alone",
            _rules,
            _plain_list,
        ),
        Key(
            "remap",
            {},
            'an object such as {"tcp:8000": 18000}',
            "a port of the machine appears as another port of this computer",
            _remap,
        ),
        Key(
            "udpIdleSeconds",
            90,
            f"a whole number of seconds, 1 to {LONGEST_IDLE_SECONDS}",
            "a UDP flow ends after so many seconds of silence",
            _integer(1, LONGEST_IDLE_SECONDS),
        ),
        Key(
            "maxUdpFlows",
            1024,
            f"a whole number, 1 to {MOST_UDP_FLOWS}",
            "UDP flows through one port",
            _integer(1, MOST_UDP_FLOWS),
        ),
        Key(
            "udpPath",
            "auto",
            "auto or portable",
            "which UDP code is used: auto takes the system's own where there is one",
            _choice("auto", "portable"),
            begins=_AT_START,
        ),
        Key(
            "ebpf",
            "auto",
            "auto or off",
            "whether eBPF programs watch and lead containers in the machine; off: listeners are "
            "found more slowly",
            _choice("auto", "off"),
            begins=_AT_START,
        ),
        Key(
            "enhancedContainerIsolation",
            False,
            _TRUTH,
            "while true, host networking is off",
            _boolean,
        ),
        Key(
            "sandboxNetwork",
            DEFAULT_SANDBOX_NETWORK,
            f"private IPv4 networks, by commas, such as {DEFAULT_SANDBOX_NETWORK}",
            "where the sandbox machine takes its addresses from",
            _networks,
            begins=_AT_START,
        ),
    )
}
"""All settings, in the order in which they are shown."""
