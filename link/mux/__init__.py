"""Many streams over one pipe.

    desktop's code ◀─ socket pair ─▶ pump ══ pipe (frames) ══ pump ◀─ socket pair ─▶ agent's code
                                      └ session                └ session

`frames` is the wire format, `session` the rules of one end (both without I/O), `pump` joins a pipe
with the sockets, `pipe` is what it reads and writes, `signals` tells it when.
"""
