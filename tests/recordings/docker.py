# ruff: noqa: E501 - as it was printed
"""Docker contexts, and what engines say of themselves.

CONTEXTS was recorded: each is the `meta.json` that `docker context create` of Docker 28.2.2 wrote
on Debian 12, with made-up endpoints. The one with `npipe://` was put together in the same form,
since the command refuses it there, and so was the one of OrbStack, with the endpoint that its
documentation names. INFO was put together by hand: some fields of `SystemInfo` in moby's
`api/swagger.yaml`, with the `OperatingSystem` that people quote in docker/for-mac and orbstack.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CONTEXTS", "INFO"]

CONTEXTS: Final = {
    "build": (
        b'{"Name":"build","Metadata":{"Description":"the build machine"},"Endpoints":{"docker":'
        b'{"Host":"ssh://ci@build.example.org:2222","SkipTLSVerify":false}}}'
    ),
    "colima": (
        b'{"Name":"colima","Metadata":{"Description":"colima"},"Endpoints":{"docker":'
        b'{"Host":"unix:///Users/ada/.colima/default/docker.sock","SkipTLSVerify":false}}}'
    ),
    "desktop-linux": (
        b'{"Name":"desktop-linux","Metadata":{"Description":"Docker Desktop"},"Endpoints":{"docker":'
        b'{"Host":"unix:///Users/ada/.docker/run/docker.sock","SkipTLSVerify":false}}}'
    ),
    "far": (
        b'{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://192.0.2.7:2376",'
        b'"SkipTLSVerify":false}}}'
    ),
    "orbstack": (
        b'{"Name":"orbstack","Metadata":{"Description":"OrbStack"},"Endpoints":{"docker":'
        b'{"Host":"unix:///Users/ada/.orbstack/run/docker.sock","SkipTLSVerify":false}}}'
    ),
    "pipe": (
        b'{"Name":"pipe","Metadata":{},"Endpoints":{"docker":'
        b'{"Host":"npipe:////./pipe/dockerDesktopLinuxEngine","SkipTLSVerify":false}}}'
    ),
}

INFO: Final = {
    "engine": (
        b'{"ID":"5f1b6b3e","Containers":1,"Driver":"overlay2","KernelVersion":"6.1.0-18-amd64",'
        b'"OperatingSystem":"Debian GNU/Linux 12 (bookworm)","OSVersion":"12","OSType":"linux",'
        b'"Architecture":"x86_64","NCPU":2,"Name":"vm","ServerVersion":"28.2.2"}'
    ),
    "Docker Desktop": (
        b'{"KernelVersion":"6.10.14-linuxkit","OperatingSystem":"Docker Desktop","OSType":"linux",'
        b'"Name":"docker-desktop"}'
    ),
    "OrbStack": b'{"OperatingSystem":"OrbStack","OSType":"linux","Name":"orbstack"}',
    "windows": b'{"OperatingSystem":"Windows 11","OSType":"windows","Name":"PC"}',
}
