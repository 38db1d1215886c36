"""The reference, docs/reference.md: what of it the code knows is written by the code.

    parsers, settings, enums, wire structs ─▶ blocks ─▶ docs/reference.md, between marks

    python -m scripts.reference             brings the file up to date (`make reference`)
    python -m scripts.reference --check     says whether it is, and changes nothing

Rules: a block is one subject, between `<!-- block: NAME -->` and `<!-- end: NAME -->`; what is
outside of blocks is written by people and left alone. Each name has its sentence where it is
defined: a parser's `help`, a table's text, the string below a field or a member. A name without one
is an error, never an empty cell. Counterpart: `tests/docs/test_reference.py`.
"""
