"""Which machines there are on this computer, asked of the tools that run them.

    Registry ─▶ Finder (one per tool) ─▶ Tools (programs, with limits)
       ◀── Sighting(machines, findings)

`model.py` has the words, `tools.py` how programs are asked, `finder.py` what every finder
guarantees; all other modules are one tool each. Finders only look: they start nothing, connect to
nothing but an engine's socket, and write nothing. Counterpart: `desktop/machines/registry.py`.
"""
