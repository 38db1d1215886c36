"""What makes Debian's files a VM to log in to: accounts, keys, network, and what does not start.

Everything else is as the packages leave it: sshd, dockerd and systemd run as Debian sets them up.
`root` and `user` log in with one key; `user` may run sudo without a password and talk to Docker.

Counterparts: `debian` makes the files, `disk` packs them, `ssh` logs in.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from tests.e2e.vm.debian import run

__all__ = ["ADDRESS", "GATEWAY", "USER", "furnish", "make_key"]

USER: Final = "user"

ADDRESS: Final = "10.0.2.15/24"
GATEWAY: Final = "10.0.2.2"
"""What QEMU's user-mode network gives the first guest, and itself."""

NETWORK: Final = f"""\
[Unit]
Description=The network of an emulated computer
DefaultDependencies=no
Before=network-pre.target network.target sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=modprobe virtio_net
ExecStart=ip link set eth0 up
ExecStart=ip address add {ADDRESS} dev eth0
ExecStart=ip route add default via {GATEWAY}

[Install]
WantedBy=sysinit.target
"""

FILES: Final = {
    "etc/hostname": "vm\n",
    "etc/hosts": "127.0.0.1 localhost vm\n::1 localhost vm\n",
    "etc/resolv.conf": "",
    "etc/fstab": "",
    "etc/systemd/system/vm-network.service": NETWORK,
    f"etc/sudoers.d/{USER}": f"{USER} ALL=(ALL) NOPASSWD: ALL\n",
}

IDLE: Final = (
    *("getty@tty1.service", "serial-getty@ttyS0.service", "systemd-logind.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "systemd-random-seed.service"),
    *("systemd-update-utmp.service", "systemd-pstore.service", "systemd-binfmt.service"),
    *("modprobe@configfs.service", "modprobe@drm.service", "modprobe@fuse.service"),
    *("podman-restart.service", "podman-auto-update.timer", "podman-auto-update.service"),
)
"""Units that do not start: they take seconds of an emulated processor, and no test needs them."""


def make_key(target: Path) -> None:
    """Make a key pair, `target` and `target`.pub."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vm", "-f", target)


def furnish(root: Path, key: Path, modules: Path, version: str) -> str:
    """Change the files below `root`; the public key by which its sshd is known."""
    for name, text in FILES.items():
        (root / name).write_text(text)
    for unit in IDLE:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for verb, unit in (("enable", "vm-network.service"), ("disable", "podman.service")):
        # Podman's socket starts its service when somebody asks.
        run("chroot", root, "systemctl", "--quiet", verb, unit)
    shutil.copytree(modules, root / "lib/modules", symlinks=True)
    run("chroot", root, "depmod", version)
    # "*" is no password; "!", which useradd writes, is a locked account for sshd.
    run("chroot", root, "useradd", "-m", "-s", "/bin/bash", "-G", "docker", "-p", "*", USER)
    for home, owner in (("root", "root"), (f"home/{USER}", USER)):
        _authorize(root, home, owner, key)
    for unused in (root / "etc/ssh").glob("ssh_host_*"):
        unused.unlink()
    make_key(root / "etc/ssh/ssh_host_ed25519_key")
    return (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()


def _authorize(root: Path, home: str, owner: str, key: Path) -> None:
    folder = root / home / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(key.with_suffix(".pub"), folder / "authorized_keys")
    run("chroot", root, "chown", "-R", f"{owner}:", f"/{home}/.ssh")
