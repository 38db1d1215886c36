"""`limactl list --json` of Lima 2.2.

Put together by hand from lima v2.2.0-153-g183a60d7: the fields and their order from
`pkg/limatype/lima_instance.go` and `FormatData` in `pkg/store/instance.go`, `portForwards` from
`pkg/limatype/lima_yaml.go` with the values that `templates/docker.yaml` gets in
`pkg/limayaml/defaults.go`; of `config` most was left out. `errors` of a broken instance are empty
objects, since they are printed from a copy that lacks their encoding. The set of fields was
compared with an output of 2.2.0 that somebody else had recorded. SSH_CONFIG: the options of
`pkg/sshutil/sshutil.go` in the form of `pkg/sshutil/format.go`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["AS_ROOT", "BROKEN", "DOCKER", "LIST", "NONE", "SSH_CONFIG", "STOPPED"]

DOCKER: Final = (
    b'{"name":"docker","hostname":"lima-docker","status":"Running","dir":"/Users/ada/.lima/docker",'
    b'"vmType":"vz","arch":"aarch64","cpus":4,"memory":4294967296,"disk":107374182400,'
    b'"sshLocalPort":60006,"sshConfigFile":"/Users/ada/.lima/docker/ssh.config",'
    b'"hostAgentPID":4711,"driverPID":4711,"config":{"minimumLimaVersion":"2.0.0",'
    b'"vmType":"vz","os":"Linux","arch":"aarch64","ssh":{"localPort":0,"forwardAgent":false,'
    b'"overVsock":true},"portForwards":[{"guestIPMustBeZero":false,"guestIP":"127.0.0.1",'
    b'"guestSocket":"/run/user/501/docker.sock","hostIP":"127.0.0.1",'
    b'"hostSocket":"/Users/ada/.lima/docker/sock/docker.sock","proto":"any","reverse":false,'
    b'"ignore":false,"static":false}],"user":{"name":"ada","home":"/home/ada.guest","uid":501}},'
    b'"sshAddress":"127.0.0.1","protected":false,"limaVersion":"2.2.0","HostOS":"darwin",'
    b'"HostArch":"aarch64","LimaHome":"/Users/ada/.lima",'
    b'"IdentityFile":"/Users/ada/.lima/_config/user"}\n'
)

STOPPED: Final = (
    b'{"name":"my_tests.old","hostname":"lima-my-tests-old","status":"Stopped",'
    b'"dir":"/Users/ada/.lima/my_tests.old","vmType":"qemu","arch":"x86_64","cpus":2,'
    b'"memory":4294967296,"disk":21474836480,'
    b'"sshConfigFile":"/Users/ada/.lima/my_tests.old/ssh.config","config":{"portForwards":[]},'
    b'"sshAddress":"127.0.0.1","protected":false,"limaVersion":"1.0.3",'
    b'"param":{"internal_netplanOptional":"true"},"HostOS":"darwin","HostArch":"aarch64",'
    b'"LimaHome":"/Users/ada/.lima","IdentityFile":"/Users/ada/.lima/_config/user"}\n'
)

BROKEN: Final = (
    b'{"name":"broken","hostname":"","status":"Broken","dir":"/Users/ada/.lima/broken","vmType":"",'
    b'"arch":"","errors":[{}],"protected":false,"limaVersion":"","HostOS":"darwin",'
    b'"HostArch":"aarch64","LimaHome":"/Users/ada/.lima",'
    b'"IdentityFile":"/Users/ada/.lima/_config/user"}\n'
)

LIST: Final = DOCKER + STOPPED + BROKEN

NONE: Final = (
    b'time="2026-11-27T08:00:00Z" level=warning msg="No instance found. Run `limactl create`'
    b' to create an instance."\n'
)
"""Standard error, with nothing on standard output (`cmd/limactl/list.go`)."""

AS_ROOT: Final = b"limactl: must not run as the root user\n"
"""Standard error, exit status 1 (`cmd/limactl/main.go`)."""

SSH_CONFIG: Final = b"""\
Host lima-docker
  IdentityFile "/Users/ada/.lima/_config/user"
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  NoHostAuthenticationForLocalhost yes
  PreferredAuthentications publickey
  Compression no
  BatchMode yes
  IdentitiesOnly yes
  GSSAPIAuthentication no
  Ciphers "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
  User ada
  ControlMaster auto
  ControlPath "/Users/ada/.lima/docker/ssh.sock"
  ControlPersist yes
  Hostname 127.0.0.1
  Port 60006
"""
