"""What is counted of all that is dropped, refused, evicted or tried again: names and meanings.

Rules: pure. A name here is a key in `status --json`, and with `samehost_` before it and `_total`
behind it a counter of `metrics.py`; a number never gets smaller while the daemon lives, whatever is
detached or starts anew. docs/reference.md has the same names, which a test compares. Counterparts:
`desktop.daemon` and `vmagent` count, under these names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["COUNTERS", "MACHINE_COUNTERS", "all_counters", "machine_counters", "summed"]

COUNTERS: Final[Mapping[str, str]] = {
    "datagrams_dropped": "UDP datagrams that could not be passed on, at either end",
    "udp_flows_evicted": "UDP flows that had to make room for newer ones (maxUdpFlows)",
    "connections_refused_files": "TCP connections reset here because too many files are open",
    "connections_refused_memory": "TCP connections reset here because memory is short",
    "connections_refused_ports": "TCP connections to a server here for which no port was free",
    "connections_refused_nowhere": "TCP connections to a mirror whose listener has just gone",
    "accepts_paused": "Pauses of accepting here because files or memory were short",
    "port_opens_failed": "Openings of mirrors here that failed; each is tried again",
    "listener_scans_failed": "Looks at this computer's listeners that failed",
    "api_clients_refused": "Programs that the control socket did not serve",
    "api_clients_dropped": "Programs on the control socket that did not read and were dropped",
    "api_clients_evicted": "Programs on the control socket that asked for nothing and made room",
    "api_clients_faulty": "Programs on the control socket that broke its rules",
    "api_subscribers_dropped": "Subscriptions to the port table that were too slow",
}
"""Of this computer, and what they mean."""

MACHINE_COUNTERS: Final[Mapping[str, str]] = {
    "agents_started": "Agents that were started in the machine",
    "links_lost": "Links to the machine's agent that ended, wanted or not",
    "link_attempts_failed": "Tries to link with an agent or to start one that failed",
    "streams_retried": "Streams to the agent that could not be opened and were tried again",
    "clients_refused": "Connections here refused because too many waited for a stream already",
    "clients_timed_out": "Connections here that waited for a stream in vain",
    "flows_refused": "Flows from the machine to a port of this computer that the rules forbid",
    "flows_failed": "Flows from the machine that this computer's server did not take",
    "stub_opens_failed": "Openings in the machine for ports of this computer that failed",
    "snapshots_repeated": "Listings of the machine's listeners that had to be asked for anew",
    "agent_strangers_refused": "Streams at the agent's door that did not know the secret",
    "agent_clients_refused": "Containers' connections refused as too many waited for a stream",
    "agent_clients_timed_out": "Containers' connections that waited for a stream in vain",
    "agent_connections_refused_files": "Connections reset in the machine for want of files",
    "agent_connections_refused_memory": "Connections reset in the machine for want of memory",
    "agent_connections_refused_ports": "Connections to containers for which no port was free",
    "agent_accepts_paused": "Pauses of accepting in the agent because files or memory were short",
    "agent_flows_failed": "Flows to a container whose server did not take them",
    "agent_engine_retries": "Tries to follow a container engine that failed",
    "agent_events_lost": "Events of binds that found no room; a full look came instead",
    "agent_programs_reattached": "Times that somebody detached the agent's eBPF programs",
}
"""Of each machine; those of its agent as far as it has told."""


def machine_counters(counted: Mapping[str, int]) -> dict[str, int]:
    """All counters of a machine in their order, 0 where nothing was counted; others left out."""
    return {name: counted.get(name, 0) for name in MACHINE_COUNTERS}


def all_counters(
    counted: Mapping[str, int], of_machines: Iterable[Mapping[str, int]]
) -> dict[str, int]:
    """All counters in their order: this computer's, and the sums of the machines'."""
    return {**{name: counted.get(name, 0) for name in COUNTERS}, **summed(of_machines)}


def summed(of_machines: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The counters of several machines, together."""
    machines = list(of_machines)
    return {name: sum(each.get(name, 0) for each in machines) for name in MACHINE_COUNTERS}
