"""How fast and how cheap it is: measured on a Samehost of its own, and judged.

    make bench                                     all of it, about 20 minutes
    python -m tests.bench --quick                  fewer and shorter rounds, about 6 minutes
    python -m tests.bench detection                appear, brief, watching and scan, 6 minutes
    python -m tests.bench peers                    beside other relays, 8 minutes (--quick: 2)
    python -m tests.bench window                   what the window costs, 2 minutes
    python -m tests.bench transports               beside `ssh -L`, 7 minutes (--quick: 2)
    python -m tests.bench --json FILE ping rest    some of it, the rounds' values as JSON as well
    python -m tests.bench --of FILE --plot SVG --page MARKDOWN
                                                   of a run's JSON, the picture and the page

Needs root, gcc and the packages of the sandbox; for the window, those of `scripts/setup gui`.
Leaves nothing behind, also when interrupted. Exit codes: 0 all that is required is met, 1
something is not, 2 usage, 130 interrupted, otherwise those of `samehost`.

The stage (`stage.py`): a daemon, a sandbox and one host-networked container in a temporary
SAMEHOST_HOME; in the container and on the desktop runs one small C program (`load.c`;
`datagrams.c` for UDP; `listeners.c` and `detection.c` for detection), so that the load is never
the bottleneck. All of it is on one computer and one clock. What is measured, by name:

    memory     of daemon and agent, before the first flow and with 1000 idle ones
    flows      memory per idle flow, ours and docker-proxy's, with 1000 and 10 000 of them
    appear     from listen() or bind() in the container to a connect on the desktop's 127.0.0.1
               that succeeds or a datagram that is answered, and from close() to one that is
               refused; in each tier of detection, after pauses of random length
    brief      of 10 000 listeners that live for 0, 5 and 20 ms, how many the desktop never
               opened, and how many mirrors were left; fewer of them in the lower tiers
    watching   CPU and memory of the agent in each tier at rest; CPU at 1000 binds a second
    scan       the time of one scan with 10, 1000 and 10 000 sockets; the agent at rest with
               10 000 listeners
    bulk       TCP throughput with 1 and 8 streams both ways, to a server in the container
    ping       round trip of 64 bytes on one connection
    connect    connections per second: connect, one byte there and back, close
    host       the same for the other origin: server on the desktop, client in the container
    udp        to a server in the container: round trips of 64 bytes; what arrives per second and
               what is lost of one flow, up and down as fast as can be sent and up at a rate that
               is a little over what docker-proxy carries; of 64 flows that take turns
    udp-carried
               the highest rate of which at most 1 % is lost, one flow up
    udp-host   the other origin: server on the desktop, client in the container
    udp-scatter
               memory, flows and descriptors under one datagram each from 100 000 sources
    integrity  10 000 connections in a row, descriptors before and after; SHA-256 of 1 GiB each
               way; 30 000 connections in seconds, 16 at once, none of which may fail
    rest       CPU of daemon and agent while nothing happens
    compared   beside direct, the peers and one hop of ours alone, in turn (`contest.py`): TCP
               throughput, round trips alone and beside 7 bulk flows, connections and HTTP
               requests per second; UDP round trips, datagrams that arrive of one flow and of many;
               CPU per GiB and per million datagrams
    compared-host
               the other origin: connections per second, beside direct and docker-proxy
    transports beside direct and plain `ssh -L`, in turn (`transports.py`): a Samehost each by unix,
               tcp, stdio, openssh and paramiko; `up` to the first mirror over SSH; TCP
               throughput, round trips alone and beside 7 bulk flows, connections per second; CPU
               per GiB
    start      of a daemon; of an agent, and until its first mirror
    window     (`window.py`) start to first paint; from a change to the screen; CPU while ports
               change, shown, minimised and hidden; memory

The tiers are "eBPF", "events" (of destroyed sockets, and polling) and "polling". The agent is the
shipped one in each; below the first the kernel refuses it what it would need (`tiers.py`).

How to read it: a round through the mirror is followed by one past it, directly to the other side's
address on the cable, and "of direct" is the median of the ratios of such pairs: trust that more
than the figures themselves, which other load on the computer moves. UDP goes a third way in each
round: through docker-proxy, one hop on this computer to the machine's address. Datagrams are sent
without offload, as plain programs do; that bounds direct, but not a mirror, which uses offload.
For times, p99 is the 99th percentile of all rounds; `ping` and `udp` have the rounds' own
percentiles and show their median. Memory is Pss (proc_pid_smaps(5)): what is shared is divided by
the number of sharers; the kernel's socket buffers are not in it. CPU "at rest" begins a while after
the last listener was opened; before that both ends look for listeners at their fast pace, as they
do while any program here opens and closes ports.

Of detection, which is a matter of milliseconds, other load on the computer decides. `appear` shows
the rounds that it did not disturb as well, and `brief` how long daemon and agent had to wait for a
core. `chrt --rr 1 python -m tests.bench detection` has all that belongs to the bench go before
other load (chrt(1)): about what would be without it.

Required figures are those of the releases' acceptance: at p99 a mirror comes and goes within 5 ms
in the first tier, 150 ms in the others; no listener that lived 20 ms missed in the first tier, no
mirror left in any, the agent at rest under 0.3 % of a core; one stream at least half of direct,
descriptors flat, checksums right, no connection lost; beside docker-proxy what `cases.py` says; at
64 and 1400 bytes 1.5 times the datagrams that docker-proxy carries without loss, none of them
wrong, doubled or another flow's; under a flood 64 MiB more memory at most, and no more flows than
`maxUdpFlows`; of the window, a change on its screen within 300 ms at p99, and less than 1 % of a
core while nobody sees it. No test asserts times: they are judged here only.
"""
