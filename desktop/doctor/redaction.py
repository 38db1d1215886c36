"""Takes out of a report what is nobody's business: who, where, and every secret.

Rules: pure. The same word becomes the same stand-in everywhere in a report (`<container-1>`), so
that what belongs together can still be seen. Words that are known (names of containers, images,
hosts, users, the home folder) are replaced where they stand alone; addresses other than loopback,
long hexadecimal or random words, keys and what follows "password", "secret" and the like by their
form. What Samehost itself says (states, names of checks and settings, versions) stays.

Limits: a name that is nowhere but in a log line, and has no form of its own, is not known as one.
Counterpart: `bundle.py` knows the words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final

__all__ = ["Redactor"]

SHORTEST_WORD: Final = 2
"""Letters: a shorter name is replaced only in the fields that hold names."""

KEPT_FIELDS: Final = frozenset(
    {
        *("check", "state", "protocol", "origin", "kind", "runtime", "key", "version", "transport"),
        *("agent_version", "python", "kernel", "platform"),
    }
)
"""Fields whose values are Samehost's or the system's own words."""

NOT_NAMES: Final = frozenset({"root", "localhost", "sandbox", "samehost", "daemon", "machine"})
"""Words that tell nothing of anybody, and mean something here."""

_SECRET_FIELD: Final = re.compile(
    r"pass(word|phrase|wd)|secret|token|api_?key|private_?key", re.IGNORECASE
)

_KEY_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_SPOKEN_SECRET: Final = re.compile(
    r"""((?:pass(?:word|phrase|wd)|secret|token|api[_-]?key|authorization)["']?\s*[:=]\s*)"""
    r"""("(?:[^"\\]|\\.)*"|'[^']*'|(?:(?:bearer|basic)\s+)?[^\s,;"']+)""",
    re.IGNORECASE,
)
_URL_LOGIN: Final = re.compile(r"(?<!\w)(\w+://)[^\s/@]+@")
_HEXADECIMAL: Final = re.compile(
    r"(?<![\w-])(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}(?![\w-])", re.IGNORECASE
)
_RANDOM: Final = re.compile(
    r"(?<![\w+/=-])(?=[\w+/-]*[0-9])(?=[\w+/-]*[a-z])(?=[\w+/-]*[A-Z])[\w+-]{24,}={0,2}(?![\w+/=-])"
)
_HOME: Final = re.compile(r"(?<![\w.~-])(?:/home/|/Users/|[A-Za-z]:\\Users\\)[^\s/\\:'\",;)]+")
_LOG_IN: Final = re.compile(r"(?<![\w.<>-])([\w.-]+)@([\w.-]+|\[[0-9a-fA-F:.]+\])")
_MAC: Final = re.compile(r"(?<![\w:])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w:])", re.IGNORECASE)
_ADDRESS_4: Final = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")
_ADDRESS_6: Final = re.compile(
    r"(?<![\w:.])[0-9a-fA-F:]{2,39}(?:\.[0-9]{1,3}){0,3}(?:%\w{1,15})?(?![\w])"
)
_DOMAIN: Final = re.compile(
    r"(?<![\w.-])(?<![^/:]/)(?:[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\.){1,10}"
    r"(?:com|org|net|edu|gov|io|dev|app|cloud|de|uk|fr|eu|nl|ch|at|jp|cn|us|info|biz"
    r"|local|lan|internal|intranet|corp|home|arpa|test|example|invalid)(?![\w-])",
    re.IGNORECASE,
)


class Redactor:
    """Redacts one report.

    `words` are what is known, by what it is ("container", "host", …); `home` is the home folder.
    """

    def __init__(self, words: Mapping[str, Iterable[str]], home: str = "") -> None:
        self._stand_ins: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._home = re.compile(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])") if home else None
        self._kinds: dict[str, str] = {}
        for kind, known in words.items():
            for word in known:
                if len(word) >= SHORTEST_WORD and word.lower() not in NOT_NAMES:
                    self._kinds.setdefault(word, kind)
        longest_first = sorted(self._kinds, key=len, reverse=True)
        alternatives = "|".join(map(re.escape, longest_first))
        self._words = (
            re.compile(rf"(?<![\w<-])(?:{alternatives})(?![\w>-])") if self._kinds else None
        )

    def name(self, kind: str, word: str) -> str:
        """The stand-in of a whole name, however short; "" stays."""
        if not word or word.lower() in NOT_NAMES:
            return word
        return self._stand_in(self._kinds.get(word, kind), word)

    def text(self, text: str) -> str:
        """A text without them."""
        text = _KEY_BLOCK.sub("<private key>", text)
        text = _SPOKEN_SECRET.sub(r"\1<secret>", text)
        text = _URL_LOGIN.sub(r"\1<login>@", text)
        if self._home is not None:
            text = self._home.sub("~", text)
        text = _HOME.sub("~", text)
        if self._words is not None:
            text = self._words.sub(self._of_word, text)
        text = _LOG_IN.sub(self._of_log_in, text)
        text = _MAC.sub(lambda found: self._stand_in("mac", found[0]), text)
        text = _HEXADECIMAL.sub(lambda found: self._stand_in("hex", found[0].lower()), text)
        text = _RANDOM.sub(lambda found: self._stand_in("random", found[0]), text)
        for form in (_ADDRESS_6, _ADDRESS_4):
            text = form.sub(self._of_address, text)
        return _DOMAIN.sub(lambda found: self._stand_in("host", found[0].lower()), text)

    def value(self, value: Any, field: str = "") -> Any:
        """The same of a value of JSON, all that is in it included."""
        if isinstance(value, dict) and field == "container":
            return {key: self._of_container(key, each) for key, each in value.items()}
        if isinstance(value, dict):
            return {self._key(key): self.value(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, field) for each in value]
        if not isinstance(value, str) or field in KEPT_FIELDS:
            return value
        return "<secret>" if value and _SECRET_FIELD.search(field) else self.text(value)

    def _of_container(self, field: str, value: Any) -> Any:
        """Its id and name, which may be as short as they like."""
        is_name = field in ("id", "name") and isinstance(value, str)
        return self.name("container", value) if is_name else self.value(value, field)

    def _key(self, key: str) -> str:
        """Of an object: mostly a field's name of ours, which no name of somebody's must change."""
        return key if key.isidentifier() else self.text(key)

    def _of_word(self, found: re.Match[str]) -> str:
        return self._stand_in(self._kinds[found[0]], found[0])

    def _of_log_in(self, found: re.Match[str]) -> str:
        user, host = found[1], found[2].strip("[]")
        return f"{self.name('user', user)}@{self._host(host)}"

    def _host(self, host: str) -> str:
        return host if _is_loopback(host) else self.name("host", host)

    def _of_address(self, found: re.Match[str]) -> str:
        word = found[0]
        address = word.rstrip(".")
        if address.endswith(":") and not address.endswith("::"):
            address = address[:-1]
        try:
            ip_address(address)
        except ValueError:
            return word
        if _is_loopback(address):
            return word
        return self._stand_in("address", address.lower()) + word[len(address) :]

    def _stand_in(self, kind: str, word: str) -> str:
        known = self._stand_ins.get((kind, word))
        if known is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._stand_ins[kind, word] = f"<{kind}-{number}>"
        return known


def _is_loopback(text: str) -> bool:
    """True for this computer's own addresses, and for all addresses; False for what is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text == "localhost"
    return address.is_loopback or address.is_unspecified
