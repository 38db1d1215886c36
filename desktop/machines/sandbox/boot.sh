#!/bin/sh
# The inside of a sandbox: makes the namespaces and becomes their process 1. Counterpart: boot.py.
#
#   boot.sh boot CGROUP2 CGROUP NAME FOLDER LOG
#       Prints the process id of process 1 as seen from outside, waits for one line
#       "ADDRESS/PREFIX" on standard input (by then the starter has moved the interface eth0 in),
#       configures it and becomes the Docker Engine. End of input instead of that line ends it: a
#       starter that dies half-way leaves no process. Standard error is FOLDER, locked, which it
#       holds until it is in CGROUP; what it says goes to LOG.
#   boot.sh remove-cgroup CGROUP2 CGROUP       Removes a cgroup that has no processes any more;
#       not 0 if the kernel does not let it yet.
#
# CGROUP2 is where the computer has cgroup v2 mounted, "-" if nowhere (cgroup v1 only). In that
# case the script must be run in a mount namespace of its own, and mounts it there. Mounting it
# a second time where it is in use would change the options of all its mounts.
set -eu
self=$(realpath "$0")
stage=$1 cgroup2=$2 cgroup=$3

mount_cgroup2() {
    [ "$cgroup2" = - ] || return 0
    umount -n -R -l /sys/fs/cgroup 2>/dev/null || true
    mount -n -t cgroup2 cgroup2 /sys/fs/cgroup
    cgroup2=/sys/fs/cgroup
}

remove_cgroup() {   # with `+` find ends as rmdir does; with `;` it would call a failure a success
    mount_cgroup2
    [ -d "$cgroup2/$cgroup" ] || exit 0
    find "$cgroup2/$cgroup" -depth -type d -exec rmdir {} +
}

boot() {            # the cgroup namespace's root is the cgroup that a process is in when it makes it
    mount_cgroup2
    mkdir -p "$cgroup2/$cgroup/init"
    echo 0 > "$cgroup2/$cgroup/cgroup.procs"
    exec 9>&-
    exec unshare --cgroup sh "$self" leave-root "$cgroup2" "$cgroup" "$name" "$folder"
}

leave_root() {      # a cgroup with processes of its own cannot hand controllers on (cgroups(7))
    echo 0 > "$cgroup2/$cgroup/init/cgroup.procs"
    exec unshare --net --uts --ipc --pid --mount --fork --kill-child \
        sh "$self" inside "$cgroup2" "$cgroup" "$name" "$folder"
}

private_run() {     # the state folder stays visible if it is below /run itself
    mkdir -p "$folder/run"
    mount -n -t tmpfs -o mode=755 tmpfs "$folder/run"
    case $folder in
        /run/*) mkdir -p "$folder/run/${folder#/run/}"
                mount -n --bind "$folder" "$folder/run/${folder#/run/}" ;;
    esac
    mount -n --move "$folder/run" /run
    mkdir /run/lock
}

private_folder() {  # an empty one of our own; one made for it here is noted, to be removed
    for _ in 1 2 3; do          # another sandbox that ends may remove the one it made just now
        if [ ! -d "$1" ]; then
            echo "$1" >> "$folder/made-folders"
            mkdir -m 755 -p "$1"
        fi
        if mount -n -t tmpfs -o mode=755 tmpfs "$1"; then return 0; fi
    done
    return 1
}

private_mounts() {
    umount -n -R -l /sys           # else the computer's cgroup2 mount is found before the sandbox's
    mount -n -t proc proc /proc
    mount -n -t sysfs sysfs /sys
    mount -n -t cgroup2 cgroup2 /sys/fs/cgroup
    [ ! -d /sys/fs/bpf ] || mount -n -t bpf bpf /sys/fs/bpf || true
    private_run
    private_folder /etc/docker      # neither this computer's daemon.json, nor a key left in there
    private_folder /opt/containerd  # containerd makes folders in there
}

hand_on_controllers() {         # one by one: those that cgroup v1 or real-time rules hold fail
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" 2>/dev/null > /sys/fs/cgroup/cgroup.subtree_control || true
    done
}

own_loopback() {
    for switch in all default lo; do
        file=/proc/sys/net/ipv6/conf/$switch/disable_ipv6
        [ ! -e "$file" ] || echo 0 > "$file"
    done
    ip link set lo up
}

inside() {
    read -r pid _ < /proc/self/stat     # still the outer /proc: our process id as seen there
    private_mounts
    hand_on_controllers
    echo "$name" > /proc/sys/kernel/hostname
    own_loopback
    echo "$pid"
    read -r address || exit 1
    ip address add "$address" dev eth0
    ip link set eth0 up
    ulimit -n 1048576 2>/dev/null || true
    exec tini -- dockerd --data-root "$folder/lib" --exec-root /run/docker \
        --pidfile /run/docker.pid --exec-opt native.cgroupdriver=cgroupfs --log-level warn \
        --host "unix://$folder/docker.sock" --host unix:///run/docker.sock \
        < /dev/null >&2
}

case $stage in
    remove-cgroup) remove_cgroup; exit ;;
esac
name=$4 folder=$5
case $stage in
    boot) exec 9>&2 2>> "$6"; boot ;;
    leave-root) leave_root ;;
    inside) inside ;;
    *) echo "boot.sh: no stage $stage" >&2; exit 2 ;;
esac
