"""`rdctl list-settings` of Rancher Desktop 1.24.

Put together by hand from rancher-desktop v1.24.0-224-gd0484373f: SETTINGS has a part of
`defaultSettings` in `pkg/rancher-desktop/config/settings.ts`, in its order. NOT_RUNNING is what
`src/go/rdctl/pkg/client/utils.go` says where nobody listens, NEVER_STARTED what Go says of a file
that is not there (`pkg/config/config.go`), each as cobra prints it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["NEVER_STARTED", "NOT_RUNNING", "SETTINGS"]

SETTINGS: Final = (
    b'{"version":17,"application":{"adminAccess":false,"debug":false,"autoStart":false},'
    b'"containerEngine":{"allowedImages":{"enabled":false,"patterns":[]},'
    b'"mobyStorageDriver":"auto","name":"moby"},"virtualMachine":{"memoryInGB":2,"numberCPUs":2},'
    b'"WSL":{"integrations":{}},"kubernetes":{"version":"","port":6443,"enabled":true},'
    b'"portForwarding":{"includeKubernetesServices":false}}\n'
)

NOT_RUNNING: Final = b"Error: connection refused\n"

NEVER_STARTED: Final = (
    b"Error: failed to get connection info: open /Users/ada/Library/Application"
    b" Support/rancher-desktop/rd-engine.json: no such file or directory\n"
)
