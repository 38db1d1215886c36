"""The UDP data plane: datagrams of many clients, carried over one stream per mirror.

    client ─▶ Front (mirror or stub) ══ DatagramStream, frames ══▶ Back ─▶ the real server
              a Listening socket          bounded, oldest dropped      a Connected socket per flow

A *flow* is one client address that speaks to one address of ours. A *train* is a run of
datagrams of one flow and one size: they cross the system in one piece, as the kernel's own
segmentation offload does it (udp(7), UDP_SEGMENT), and come out as the datagrams they were.
"""
