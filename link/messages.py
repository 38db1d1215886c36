"""The control session's vocabulary: what desktop and agent say to each other, and its checks.

Rules: pure; every field that comes off the wire is checked for type and range here and nowhere
else, so the rest of the code may trust a message. An unknown kind or a bad field raises
`WireError`. Lists that may be long are sent in parts (`MAX_LISTENERS` per message).

What is known of a container is sent once in a generation, and again when it changes: in the
message that first has a listener of it, or before. Listeners name it by id and runtime.

    agent → desktop   Welcome, Snapshot…, Delta…, Watching, StubResults, Wanted, Condition,
                      TrialOpened, TrialResults, Counts, Beat
    desktop → agent   UdpLimits, Resync, Stubs, Inquiry, Trial, TrialEnd, Beat, Bye

Truth is a snapshot with a generation number, then deltas numbered from 1 in that generation; a
gap in either makes the desktop ask for a new snapshot. Counterpart: `session.py` carries them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, Union

from link.labels import Labels, are_within_limits
from link.listener import Container, Listener, canonical_address
from link.wire import WireError

__all__ = [
    "MAX_CONTAINERS",
    "MAX_COUNTS",
    "MAX_ENGINES",
    "MAX_LISTENERS",
    "MAX_TEXT",
    "Beat",
    "Bye",
    "Condition",
    "Counts",
    "Delta",
    "EngineState",
    "Inquiry",
    "Message",
    "Resync",
    "Snapshot",
    "StubKey",
    "StubResult",
    "StubResults",
    "Stubs",
    "Trial",
    "TrialEnd",
    "TrialOpened",
    "TrialResults",
    "UdpLimits",
    "Wanted",
    "Watching",
    "Welcome",
    "decode",
    "encode",
    "in_parts",
]

MAX_LISTENERS: Final = 1000
"""Listeners or stubs per message; with the longest names that is well under `wire.MAX_MESSAGE`."""
MAX_CONTAINERS: Final = 16
"""Containers per message: with a full part of listeners and the longest labels that fits, too."""
MAX_TEXT: Final = 256
"""Characters of a name or reason."""
MAX_WANTED: Final = 4096
MAX_ENGINES: Final = 16
MAX_COUNTS: Final = 64
MAX_NUMBER: Final = 2**63
MAX_IDLE_SECONDS: Final = 86_400
MAX_UDP_FLOWS: Final = 65_536
_PROTOCOLS: Final = ("tcp", "udp")


@dataclass(frozen=True)
class Welcome:
    """The agent's first words."""

    agent_version: str
    python: str
    kernel: str
    hostname: str
    watcher: str


@dataclass(frozen=True)
class Watching:
    """How listeners are found from now on, in words for a person: what Welcome said is over."""

    watcher: str


@dataclass(frozen=True)
class Snapshot:
    """All listeners, in parts; `last` ends it. The first part discards what was known.

    `containers` are those that later listeners, and these, may be of.
    """

    generation: int
    first: bool
    last: bool
    listeners: tuple[Listener, ...]
    containers: tuple[Container, ...] = ()


@dataclass(frozen=True)
class Delta:
    """What changed. An `added` id that is known replaces it; a `removed` one may be unknown.

    `containers` are new or differ, which concerns listeners that are told with them or later.
    """

    generation: int
    sequence: int
    added: tuple[Listener, ...]
    removed: tuple[int, ...]
    containers: tuple[Container, ...] = ()


@dataclass(frozen=True)
class StubKey:
    """A stub: where the agent listens on the machine's loopback for a port of the desktop."""

    address: str
    port: int
    protocol: str = "tcp"


@dataclass(frozen=True)
class StubResult:
    """What became of a stub: open, or the `errno` of the failure, with words for a person."""

    stub: StubKey
    is_open: bool
    errno: int = 0
    detail: str = ""


@dataclass(frozen=True)
class StubResults:
    """Answers to `Stubs`, and stubs lost since."""

    results: tuple[StubResult, ...]


@dataclass(frozen=True)
class Wanted:
    """The agent has `count` clients waiting for a parked stream."""

    count: int


@dataclass(frozen=True)
class Beat:
    """A sign of life; answered in kind by the agent only."""


@dataclass(frozen=True)
class Resync:
    """Asks for a new snapshot."""


@dataclass(frozen=True)
class Stubs:
    """Stubs to close, then stubs to open. Each is answered by one StubResult; so are repeats."""

    opened: tuple[StubKey, ...]
    closed: tuple[StubKey, ...]


@dataclass(frozen=True)
class UdpLimits:
    """How long a silent UDP flow lives, and how many one listener may have, from now on."""

    idle_seconds: int
    most_flows: int


@dataclass(frozen=True)
class Inquiry:
    """Asks the agent how it is; `number` is in its answer."""

    number: int


@dataclass(frozen=True)
class EngineState:
    """A container engine by its socket; `trouble` says why it does not answer, "" if it does."""

    socket: str
    trouble: str


@dataclass(frozen=True)
class Condition:
    """How the agent is. `capabilities` are its effective ones, bit by bit (capabilities(7)).

    `clock_ms` is the machine's UNIX time in milliseconds, at the moment of the answer.
    """

    number: int
    clock_ms: int
    uid: int
    capabilities: int
    files_limit: int
    files_open: int
    engines: tuple[EngineState, ...]


@dataclass(frozen=True)
class Counts:
    """What the agent has counted since its start, by name."""

    counts: dict[str, int]


@dataclass(frozen=True)
class Trial:
    """A self-test: open an answerer (`link.one_byte`), and ask the desktop's on these ports.

    They are reached as a stub's; 0 is not asked. Ends any trial before it.
    """

    number: int
    tcp_port: int
    udp_port: int


@dataclass(frozen=True)
class TrialOpened:
    """The agent's answerer listens on these ports; or `problem` says why not."""

    number: int
    tcp_port: int
    udp_port: int
    problem: str


@dataclass(frozen=True)
class TrialResults:
    """What became of asking the desktop: "" for an answer, or why there was none; and how fast."""

    number: int
    tcp_problem: str
    udp_problem: str
    tcp_microseconds: int
    udp_microseconds: int


@dataclass(frozen=True)
class TrialEnd:
    """The self-test is over: close what it opened."""


@dataclass(frozen=True)
class Bye:
    """The desktop ends the session for good: close the stubs and exit."""


Message = Union[
    Welcome,
    Watching,
    Snapshot,
    Delta,
    StubResults,
    Wanted,
    Beat,
    Resync,
    Stubs,
    UdpLimits,
    Inquiry,
    Condition,
    Counts,
    Trial,
    TrialOpened,
    TrialResults,
    TrialEnd,
    Bye,
]


def encode(message: Message) -> dict[str, Any]:
    """The JSON object of a message."""
    return {"kind": _KINDS[type(message)], **_plain(vars(message))}


def decode(raw: dict[str, Any]) -> Message:
    """The message of a JSON object. Raises WireError."""
    kind = raw.get("kind")
    decoder = _DECODERS.get(kind) if isinstance(kind, str) else None
    if decoder is None:
        raise WireError(f"unknown kind of message: {str(kind)[:40]!r}")
    return decoder(raw)


def in_parts(items: tuple[Any, ...], most: int = MAX_LISTENERS) -> list[tuple[Any, ...]]:
    """`items` cut into parts that fit a message; one empty part if there are none."""
    return [items[i : i + most] for i in range(0, max(len(items), 1), most)]


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, Listener):
        return {**vars(value), "container": value.container and _referred_to(value.container)}
    if isinstance(value, Container):
        return {**vars(value), "labels": dict(value.labels)}
    if isinstance(value, (StubKey, StubResult, EngineState)):
        return _plain(vars(value))
    return value


def _referred_to(container: Container) -> dict[str, str]:
    return {"id": container.id, "runtime": container.runtime}


def _int(raw: dict[str, Any], key: str, low: int, high: int) -> int:
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise WireError(f"{key} is not a whole number from {low} to {high}")
    return value


def _bool(raw: dict[str, Any], key: str) -> bool:
    value = raw.get(key)
    if not isinstance(value, bool):
        raise WireError(f"{key} is neither true nor false")
    return value


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise WireError(f"{key} is not a text of at most {MAX_TEXT} characters")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise WireError(f"{key} holds half of a character")
    return value


def _object(raw: dict[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    if not isinstance(value, dict):
        raise WireError(f"{key} is not an object")
    return value


def _list(raw: dict[str, Any], key: str) -> list[Any]:
    value = raw.get(key)
    if not isinstance(value, list) or len(value) > MAX_LISTENERS:
        raise WireError(f"{key} is not a list of at most {MAX_LISTENERS} entries")
    return value


def _objects(
    raw: dict[str, Any], key: str, one: Callable[[dict[str, Any]], Any]
) -> tuple[Any, ...]:
    entries = _list(raw, key)
    if not all(isinstance(entry, dict) for entry in entries):
        raise WireError(f"{key} holds something that is not an object")
    return tuple(one(entry) for entry in entries)


def _address(raw: dict[str, Any]) -> str:
    try:
        return canonical_address(_text(raw, "address"))
    except ValueError as error:
        raise WireError(f"address: {error}") from error


def _protocol(raw: dict[str, Any]) -> str:
    protocol = raw.get("protocol")
    if protocol not in _PROTOCOLS:
        raise WireError("protocol is neither tcp nor udp")
    return str(protocol)


def _container(raw: dict[str, Any]) -> Container:
    return Container(
        id=_text(raw, "id"),
        name=_text(raw, "name"),
        runtime=_text(raw, "runtime"),
        image=_text(raw, "image"),
        labels=_labels(raw),
    )


def _labels(raw: dict[str, Any]) -> Labels:
    labels = _object(raw, "labels")
    if not are_within_limits(labels):
        raise WireError("labels are too many, too long or no text")
    return tuple(sorted(labels.items()))


def _reference(raw: dict[str, Any]) -> Container:
    return Container(_text(raw, "id"), "", _text(raw, "runtime"))


def _listener(raw: dict[str, Any]) -> Listener:
    return Listener(
        id=_int(raw, "id", 0, 2**64 - 1),
        protocol=_protocol(raw),
        address=_address(raw),
        port=_int(raw, "port", 1, 65535),
        v6only=_bool(raw, "v6only"),
        inode=_int(raw, "inode", 0, 2**64 - 1),
        container=None if raw.get("container") is None else _reference(_object(raw, "container")),
        process=None if raw.get("process") is None else _text(raw, "process"),
        pid=None if raw.get("pid") is None else _int(raw, "pid", 0, 2**31 - 1),
    )


def _stub(raw: dict[str, Any]) -> StubKey:
    return StubKey(_address(raw), _int(raw, "port", 1, 65535), _protocol(raw))


def _stub_result(raw: dict[str, Any]) -> StubResult:
    return StubResult(
        _stub(_object(raw, "stub")),
        _bool(raw, "is_open"),
        _int(raw, "errno", 0, 4095),
        _text(raw, "detail"),
    )


def _welcome(raw: dict[str, Any]) -> Welcome:
    return Welcome(**{field.name: _text(raw, field.name) for field in fields(Welcome)})


def _snapshot(raw: dict[str, Any]) -> Snapshot:
    return Snapshot(
        _int(raw, "generation", 1, 2**63),
        _bool(raw, "first"),
        _bool(raw, "last"),
        _objects(raw, "listeners", _listener),
        _containers(raw),
    )


def _containers(raw: dict[str, Any]) -> tuple[Container, ...]:
    if len(_list(raw, "containers")) > MAX_CONTAINERS:
        raise WireError(f"containers are more than {MAX_CONTAINERS}")
    return _objects(raw, "containers", _container)


def _removed(raw: dict[str, Any]) -> tuple[int, ...]:
    ids = _list(raw, "removed")
    if not all(isinstance(i, int) and 0 <= i < 2**64 for i in ids):
        raise WireError("removed holds something that is no socket's id")
    return tuple(ids)


def _delta(raw: dict[str, Any]) -> Delta:
    return Delta(
        _int(raw, "generation", 1, 2**63),
        _int(raw, "sequence", 1, 2**63),
        _objects(raw, "added", _listener),
        _removed(raw),
        _containers(raw),
    )


def _engine(raw: dict[str, Any]) -> EngineState:
    return EngineState(_text(raw, "socket"), _text(raw, "trouble"))


def _condition(raw: dict[str, Any]) -> Condition:
    if len(_list(raw, "engines")) > MAX_ENGINES:
        raise WireError(f"engines are more than {MAX_ENGINES}")
    return Condition(
        _int(raw, "number", 1, MAX_NUMBER),
        _int(raw, "clock_ms", 0, MAX_NUMBER),
        _int(raw, "uid", 0, 2**32 - 1),
        _int(raw, "capabilities", 0, 2**64 - 1),
        _int(raw, "files_limit", 0, MAX_NUMBER),
        _int(raw, "files_open", 0, MAX_NUMBER),
        _objects(raw, "engines", _engine),
    )


def _counts(raw: dict[str, Any]) -> Counts:
    counts = _object(raw, "counts")
    if len(counts) > MAX_COUNTS or any(len(name) > MAX_TEXT for name in counts):
        raise WireError(f"counts are more than {MAX_COUNTS}, or their names too long")
    return Counts({name: _int(counts, name, 0, MAX_NUMBER) for name in counts})


def _trial_ports(raw: dict[str, Any]) -> tuple[int, int, int]:
    number = _int(raw, "number", 1, MAX_NUMBER)
    return number, _int(raw, "tcp_port", 0, 65535), _int(raw, "udp_port", 0, 65535)


def _trial_results(raw: dict[str, Any]) -> TrialResults:
    return TrialResults(
        _int(raw, "number", 1, MAX_NUMBER),
        _text(raw, "tcp_problem"),
        _text(raw, "udp_problem"),
        _int(raw, "tcp_microseconds", 0, MAX_NUMBER),
        _int(raw, "udp_microseconds", 0, MAX_NUMBER),
    )


_KINDS: Final[dict[type, str]] = {
    Welcome: "welcome",
    Watching: "watching",
    Snapshot: "snapshot",
    Delta: "delta",
    StubResults: "stub_results",
    Wanted: "wanted",
    Beat: "beat",
    Resync: "resync",
    Stubs: "stubs",
    UdpLimits: "udp_limits",
    Inquiry: "inquiry",
    Condition: "condition",
    Counts: "counts",
    Trial: "trial",
    TrialOpened: "trial_opened",
    TrialResults: "trial_results",
    TrialEnd: "trial_end",
    Bye: "bye",
}
_DECODERS: Final[dict[str, Callable[[dict[str, Any]], Message]]] = {
    "welcome": _welcome,
    "watching": lambda raw: Watching(_text(raw, "watcher")),
    "snapshot": _snapshot,
    "delta": _delta,
    "stub_results": lambda raw: StubResults(_objects(raw, "results", _stub_result)),
    "wanted": lambda raw: Wanted(_int(raw, "count", 1, MAX_WANTED)),
    "beat": lambda _raw: Beat(),
    "resync": lambda _raw: Resync(),
    "stubs": lambda raw: Stubs(_objects(raw, "opened", _stub), _objects(raw, "closed", _stub)),
    "udp_limits": lambda raw: UdpLimits(
        _int(raw, "idle_seconds", 1, MAX_IDLE_SECONDS), _int(raw, "most_flows", 1, MAX_UDP_FLOWS)
    ),
    "inquiry": lambda raw: Inquiry(_int(raw, "number", 1, MAX_NUMBER)),
    "condition": _condition,
    "counts": _counts,
    "trial": lambda raw: Trial(*_trial_ports(raw)),
    "trial_opened": lambda raw: TrialOpened(*_trial_ports(raw), _text(raw, "problem")),
    "trial_results": _trial_results,
    "trial_end": lambda _raw: TrialEnd(),
    "bye": lambda _raw: Bye(),
}
