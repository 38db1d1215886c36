"""`colima list --json` of Colima 0.10.

Put together by hand from colima v0.10.3-18-g490420d: the fields of `InstanceInfo` in
`environment/vm/lima/limautil/instance.go`, empty ones left out, as `cmd/list.go` prints them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LIST"]

LIST: Final = (
    b'{"name":"default","status":"Running","arch":"aarch64","cpus":2,"memory":2147483648,'
    b'"disk":107374182400,"address":"192.168.64.3","runtime":"docker"}\n'
    b'{"name":"k3s_old","status":"Stopped","arch":"x86_64","cpus":4,"memory":8589934592,'
    b'"disk":64424509440,"runtime":"containerd+k3s"}\n'
    b'{"name":"sick","status":"Broken","arch":""}\n'
)
