"""Both ends of the handshake, joined by a fake wire: who gets in, who does not, and what leaks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link import handshake
from link.handshake import (
    NONCE_SIZE,
    SECRET_SIZE,
    AgentHandshake,
    AuthenticationError,
    DesktopHandshake,
    HandshakeError,
    Role,
    VersionError,
)
from link.version import PROTOCOL

SECRET = bytes(range(SECRET_SIZE))
OTHER_SECRET = bytes(SECRET_SIZE)
DESKTOP_NONCE = b"d" * NONCE_SIZE
AGENT_NONCE = b"a" * NONCE_SIZE


def desktop(secret: bytes = SECRET, role: Role = Role.OUTBOUND) -> DesktopHandshake:
    return DesktopHandshake(secret, DESKTOP_NONCE, role)


def agent(secret: bytes = SECRET) -> AgentHandshake:
    return AgentHandshake(secret, AGENT_NONCE)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_two_ends_with_one_secret_meet_however_the_bytes_are_cut(role: Role, chunk: int) -> None:
    near, far = desktop(role=role), agent()
    to_agent, to_desktop = near.start(), b""
    while to_agent or to_desktop:
        part, to_agent = to_agent[:chunk], to_agent[chunk:]
        if part:
            to_desktop += far.receive(part)
        part, to_desktop = to_desktop[:chunk], to_desktop[chunk:]
        if part:
            to_agent += near.receive(part)
    assert near.is_done
    assert far.is_done
    assert far.role is role


def test_what_follows_the_handshake_is_never_asked_for() -> None:
    near, far = desktop(), agent()
    hello = near.start()
    assert far.wanted == len(hello)
    answer = far.receive(hello)
    assert near.wanted == len(answer)
    proof = near.receive(answer)
    assert far.wanted == len(proof)
    last = far.receive(proof)
    assert near.wanted == len(last)
    near.receive(last)
    assert (near.wanted, far.wanted) == (0, 0)


def test_speaking_out_of_turn_is_refused() -> None:
    with pytest.raises(HandshakeError, match="out of turn"):
        agent().receive(desktop().start() + b"x")


def test_a_desktop_without_the_secret_is_refused_and_gets_no_proof() -> None:
    stranger, far = desktop(OTHER_SECRET), agent()
    proof = stranger.receive(far.receive(stranger.start()))
    with pytest.raises(AuthenticationError):
        far.receive(proof)
    assert not far.is_done


def test_an_agent_without_the_secret_is_refused() -> None:
    near, impostor = desktop(), agent(OTHER_SECRET)
    near.receive(impostor.receive(near.start()))
    with pytest.raises(AuthenticationError):
        near.receive(bytes(32))
    assert not near.is_done


def test_a_proof_sent_back_does_not_serve_as_the_other_ends() -> None:
    near, far = desktop(), agent()
    proof = near.receive(far.receive(near.start()))
    with pytest.raises(AuthenticationError):
        near.receive(proof)


def test_a_proof_holds_for_one_role_only() -> None:
    outbound, control = desktop(role=Role.OUTBOUND), desktop(role=Role.CONTROL)
    proof = outbound.receive(agent().receive(outbound.start()))
    far = agent()
    far.receive(control.start())
    with pytest.raises(AuthenticationError):
        far.receive(proof)


def test_a_recorded_handshake_cannot_be_played_again() -> None:
    near, far = desktop(), agent()
    hello = near.start()
    proof = near.receive(far.receive(hello))
    again = AgentHandshake(SECRET, b"n" * NONCE_SIZE)
    again.receive(hello)
    with pytest.raises(AuthenticationError):
        again.receive(proof)


def test_a_stranger_learns_the_protocol_and_a_nonce_only() -> None:
    answer = agent().receive(desktop(OTHER_SECRET).start())
    assert answer == b"SMHO" + PROTOCOL.to_bytes(2, "big") + AGENT_NONCE


def test_ends_of_different_versions_name_the_version_and_never_get_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    near = desktop()
    monkeypatch.setattr(handshake, "PROTOCOL", PROTOCOL + 1)
    hello = near.start()
    monkeypatch.undo()
    far = agent()
    answer = far.receive(hello)
    for proof in (bytes(32), near.receive(answer)):
        with pytest.raises(VersionError, match=str(PROTOCOL + 1)):
            far.receive(proof)
    assert not far.is_done
    monkeypatch.setattr(handshake, "PROTOCOL", PROTOCOL + 1)
    with pytest.raises(VersionError):
        desktop().receive(answer)


@given(st.binary(max_size=200))
def test_noise_never_gets_in(noise: bytes) -> None:
    for end in (desktop(), agent()):
        try:
            end.receive(noise)
            end.receive(noise)
        except HandshakeError:
            pass
        assert not end.is_done


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_of_another_size_is_a_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        AgentHandshake(bytes(size), AGENT_NONCE)
