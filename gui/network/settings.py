"""The settings of the page Network, in its order: what each is called, and what it means.

Rules: words only; what is a good value is the daemon's to say. Which machines are used belongs to
the page Machine; what only helps to find faults (`udpPath`, `ebpf`) to the command line.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from gui.network.draft import ISOLATION, SWITCH
from gui.network.fields import CheckField, Choice, ChoiceField, Field, NumberField
from gui.network.model import Column
from gui.network.rules import IGNORE, REMAP
from gui.network.tablefield import TableField

__all__ = ["fields_of"]

MOST: Final = 999_999
"""What can be typed as a number; the daemon has its own, lower limits, and says so."""

translate = QCoreApplication.translate


def fields_of(parent: QWidget) -> list[Field]:
    """All fields of the page, made now."""
    return [
        _switch(parent),
        _reach_host(parent),
        _port_binding(parent),
        _ignore(parent),
        _remap(parent),
        _udp_idle(parent),
        _udp_flows(parent),
        _isolation(parent),
    ]


def _switch(parent: QWidget) -> Field:
    return CheckField(
        SWITCH,
        translate("NetworkPage", "&Enable host networking"),
        translate(
            "NetworkPage",
            "Containers that are started with --net=host can use localhost to reach TCP and UDP"
            " services on this computer, and programs on this computer can use localhost to reach"
            " TCP and UDP services in those containers.",
        ),
        parent,
    )


def _reach_host(parent: QWidget) -> Field:
    return CheckField(
        "reachHost",
        translate("NetworkPage", "&Let containers reach this computer"),
        translate(
            "NetworkPage",
            "Services on this computer's localhost are there for those containers, too. If this"
            " is off, only programs on this computer reach containers, and not the other way"
            " round.",
        ),
        parent,
    )


def _port_binding(parent: QWidget) -> Field:
    choices = (
        Choice(
            "as-bound",
            translate("NetworkPage", "As the container &binds"),
            translate(
                "NetworkPage",
                "A service that listens on all addresses does so on this computer: other computers"
                " in your network can reach it.",
            ),
        ),
        Choice(
            "localhost",
            translate("NetworkPage", "Localhost &only"),
            translate(
                "NetworkPage",
                "Only programs on this computer can reach containers. Other computers in your"
                " network cannot, whatever a service listens on.",
            ),
        ),
    )
    return ChoiceField(
        "portBinding",
        translate("NetworkPage", "Port binding"),
        translate("NetworkPage", "Where a port of a container opens on this computer:"),
        choices,
        parent,
    )


def _protocol() -> Column:
    return Column(
        translate("NetworkPage", "Protocol"),
        translate("NetworkPage", "TCP or UDP: the same port of the other is another port"),
        {"tcp": "TCP", "udp": "UDP"},
    )


def _ignore(parent: QWidget) -> Field:
    columns = (
        _protocol(),
        Column(
            translate("NetworkPage", "Port or range"),
            translate("NetworkPage", "such as 5353, 7000-7010 or machine:tcp:22"),
            {},
        ),
        Column(
            translate("NetworkPage", "Opened by"),
            translate("NetworkPage", "Whose ports are meant"),
            {
                "": translate("NetworkPage", "either side"),
                "machine": translate("NetworkPage", "containers"),
                "host": translate("NetworkPage", "this computer"),
            },
        ),
    )
    return TableField(
        IGNORE,
        translate("NetworkPage", "&Ignored ports"),
        translate(
            "NetworkPage",
            "These ports are left alone: they do not open on the other side. Some are ignored"
            " anyway, such as those of DHCP and multicast DNS.",
        ),
        translate("NetworkPage", "No ports are ignored by a rule of yours."),
        columns,
        parent,
    )


def _remap(parent: QWidget) -> Field:
    columns = (
        _protocol(),
        Column(
            translate("NetworkPage", "Container port"),
            translate("NetworkPage", "The port that a container listens on, such as 8000"),
            {},
        ),
        Column(
            translate("NetworkPage", "Port here"),
            translate("NetworkPage", "The port that opens on this computer, such as 18000"),
            {},
        ),
    )
    return TableField(
        REMAP,
        translate("NetworkPage", "&Remapped ports"),
        translate(
            "NetworkPage",
            "A container's port opens on this computer under another number, for example because"
            " a program here has that port already.",
        ),
        translate("NetworkPage", "Every port has the same number on both sides."),
        columns,
        parent,
    )


def _udp_idle(parent: QWidget) -> Field:
    return NumberField(
        "udpIdleSeconds",
        translate("NetworkPage", "&UDP idle time:"),
        translate(
            "NetworkPage", "A UDP conversation is over when nothing was sent for so many seconds."
        ),
        translate("NetworkPage", "s", "seconds"),
        MOST,
        parent,
    )


def _udp_flows(parent: QWidget) -> Field:
    return NumberField(
        "maxUdpFlows",
        translate("NetworkPage", "UDP con&versations:"),
        translate(
            "NetworkPage",
            "So many go through one port at a time. When there are more, the oldest are dropped.",
        ),
        "",
        MOST,
        parent,
    )


def _isolation(parent: QWidget) -> Field:
    return CheckField(
        ISOLATION,
        translate("NetworkPage", "Enhanced Container I&solation"),
        translate(
            "NetworkPage",
            "Keeps containers apart from this computer's network. While it is on, host networking"
            " is off and cannot be enabled.",
        ),
        parent,
    )
