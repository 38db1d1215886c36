# ruff: noqa: E501 - as it was printed
"""`podman machine list` and `podman machine inspect`.

LIST_4 and INSPECT_4 were recorded: Podman 4.3.1 (Debian 12) as an ordinary user, after
`podman machine init` of a local image, twice; neither machine ever ran. LIST_5 and INSPECT_5 were
put together by hand from podman v5.4.0-rc1-2964-gc6580b4a52 (`pkg/domain/entities/machine.go`,
`cmd/podman/machine/list.go`, `pkg/machine/config.go`, `pkg/machine/vmconfigs/config.go`), with the
values of a macOS and of a Windows computer that people show in issues. AS_ROOT was recorded. The user's
and the machines' names are others than they were.
"""

from __future__ import annotations

from typing import Final

__all__ = ["AS_ROOT", "INSPECT_4", "INSPECT_5", "LIST_4", "LIST_5", "NONE"]

NONE: Final = b"[]"
"""Of Podman 4.3.1, recorded."""

AS_ROOT: Final = b'Error: cannot run command "podman machine list" as root\n'
"""Standard error, exit status 125."""

LIST_4: Final = b"""\
[
    {
        "Name": "lab",
        "Default": false,
        "Created": "2026-11-27T08:21:36.338182012Z",
        "Running": false,
        "Starting": false,
        "LastUp": "2026-11-27T08:21:36.338182012Z",
        "Stream": "custom",
        "VMType": "qemu",
        "CPUs": 1,
        "Memory": "2147483648",
        "DiskSize": "107374182400",
        "Port": 34039,
        "RemoteUsername": "core",
        "IdentityPath": "/home/ada/.ssh/lab"
    },
    {
        "Name": "podman-machine-default",
        "Default": true,
        "Created": "2026-11-27T08:21:35.870781908Z",
        "Running": false,
        "Starting": false,
        "LastUp": "2026-11-27T08:21:35.870781908Z",
        "Stream": "custom",
        "VMType": "qemu",
        "CPUs": 1,
        "Memory": "2147483648",
        "DiskSize": "107374182400",
        "Port": 37613,
        "RemoteUsername": "core",
        "IdentityPath": "/home/ada/.ssh/podman-machine-default"
    }
]
"""

INSPECT_4: Final = b"""\
[
     {
          "ConfigPath": {
               "Path": "/home/ada/.config/containers/podman/machine/qemu/podman-machine-default.json"
          },
          "ConnectionInfo": {
               "PodmanSocket": {
                    "Path": "/home/ada/.local/share/containers/podman/machine/podman-machine-default/podman.sock"
               }
          },
          "Created": "2026-11-27T08:21:35.870781908Z",
          "Image": {
               "IgnitionFilePath": {
                    "Path": "/home/ada/.config/containers/podman/machine/qemu/podman-machine-default.ign"
               },
               "ImageStream": "custom",
               "ImagePath": {
                    "Path": "/home/ada/.local/share/containers/podman/machine/qemu/img.qcow2"
               }
          },
          "LastUp": "2026-11-27T08:21:35.870781908Z",
          "Name": "podman-machine-default",
          "Resources": {
               "CPUs": 1,
               "DiskSize": 100,
               "Memory": 2048
          },
          "SSHConfig": {
               "IdentityPath": "/home/ada/.ssh/podman-machine-default",
               "Port": 37613,
               "RemoteUsername": "core"
          },
          "State": ""
     },
     {
          "ConfigPath": {
               "Path": "/home/ada/.config/containers/podman/machine/qemu/lab.json"
          },
          "ConnectionInfo": {
               "PodmanSocket": {
                    "Path": "/home/ada/.local/share/containers/podman/machine/lab/podman.sock"
               }
          },
          "Created": "2026-11-27T08:21:36.338182012Z",
          "Image": {
               "IgnitionFilePath": {
                    "Path": "/home/ada/.config/containers/podman/machine/qemu/lab.ign"
               },
               "ImageStream": "custom",
               "ImagePath": {
                    "Path": "/home/ada/.local/share/containers/podman/machine/qemu/img.qcow2"
               }
          },
          "LastUp": "2026-11-27T08:21:36.338182012Z",
          "Name": "lab",
          "Resources": {
               "CPUs": 1,
               "DiskSize": 100,
               "Memory": 2048
          },
          "SSHConfig": {
               "IdentityPath": "/home/ada/.ssh/lab",
               "Port": 34039,
               "RemoteUsername": "core"
          },
          "State": ""
     }
]
"""

LIST_5: Final = b"""\
[
    {
        "Name": "podman-machine-default",
        "Default": true,
        "Created": "2026-02-15T16:27:18.563644-03:00",
        "Running": true,
        "Starting": false,
        "LastUp": "2026-02-16T09:12:44.102938-03:00",
        "Stream": "default",
        "VMType": "applehv",
        "CPUs": 4,
        "Memory": "2147483648",
        "Swap": "0",
        "DiskSize": "107374182400",
        "Port": 52612,
        "RemoteUsername": "core",
        "IdentityPath": "/Users/ada/.local/share/containers/podman/machine/machine",
        "UserModeNetworking": true
    },
    {
        "Name": "win",
        "Default": false,
        "Created": "2026-03-01T08:00:00Z",
        "Running": false,
        "Starting": true,
        "LastUp": "2026-03-01T08:00:00Z",
        "Stream": "default",
        "VMType": "wsl",
        "CPUs": 8,
        "Memory": "0",
        "Swap": "0",
        "DiskSize": "107374182400",
        "Port": 49821,
        "RemoteUsername": "user",
        "IdentityPath": "C:\\\\Users\\\\ada\\\\.local\\\\share\\\\containers\\\\podman\\\\machine\\\\machine",
        "UserModeNetworking": false
    }
]
"""

INSPECT_5: Final = b"""\
[
     {
          "ConfigDir": {
               "Path": "/Users/ada/.config/containers/podman/machine/applehv"
          },
          "ConnectionInfo": {
               "PodmanSocket": {
                    "Path": "/var/folders/y0/T/podman/podman-machine-default-api.sock"
               },
               "PodmanPipe": null
          },
          "Created": "2026-02-15T16:27:18.563644-03:00",
          "LastUp": "2026-02-16T09:12:44.102938-03:00",
          "Name": "podman-machine-default",
          "Resources": {
               "CPUs": 4,
               "DiskSize": 100,
               "Memory": 2048,
               "Swap": 0,
               "USBs": []
          },
          "SSHConfig": {
               "IdentityPath": "/Users/ada/.local/share/containers/podman/machine/machine",
               "Port": 52612,
               "RemoteUsername": "core"
          },
          "State": "running",
          "UserModeNetworking": true,
          "Rootful": false,
          "Rosetta": true
     },
     {
          "ConfigDir": {
               "Path": "C:\\\\Users\\\\ada\\\\.config\\\\containers\\\\podman\\\\machine\\\\wsl"
          },
          "ConnectionInfo": {
               "PodmanSocket": {
                    "Path": "C:\\\\Users\\\\ada\\\\AppData\\\\Local\\\\Temp\\\\podman\\\\win-api.sock"
               },
               "PodmanPipe": {
                    "Path": "\\\\\\\\.\\\\pipe\\\\podman-win"
               }
          },
          "Created": "2026-03-01T08:00:00Z",
          "LastUp": "2026-03-01T08:00:00Z",
          "Name": "win",
          "Resources": {
               "CPUs": 8,
               "DiskSize": 100,
               "Memory": 0,
               "Swap": 0,
               "USBs": []
          },
          "SSHConfig": {
               "IdentityPath": "C:\\\\Users\\\\ada\\\\.local\\\\share\\\\containers\\\\podman\\\\machine\\\\machine",
               "Port": 49821,
               "RemoteUsername": "user"
          },
          "State": "starting",
          "UserModeNetworking": false,
          "Rootful": true,
          "Rosetta": false
     }
]
"""
