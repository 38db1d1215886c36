"""`make reference`: brings docs/reference.md up to date, or says whether it is (`--check`)."""

from __future__ import annotations

import sys

from scripts.reference.page import PAGE, PageError, renewed
from scripts.reference.words import NoSentenceError

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Write the page if it is stale; the exit code."""
    text = PAGE.read_text(encoding="utf-8")
    try:
        now = renewed(text)
    except (NoSentenceError, PageError) as error:
        print(error, file=sys.stderr)
        return 1
    if now == text:
        print(f"{PAGE.name} is up to date")
    elif "--check" in arguments:
        print(f"{PAGE.name} is stale; bring it up to date: make reference")
        return 1
    else:
        PAGE.write_text(now, encoding="utf-8")
        print(f"{PAGE.name} was brought up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
