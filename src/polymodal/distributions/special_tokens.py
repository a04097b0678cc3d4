"""Tokens that every vocabulary of texts begins with; a token's place is its id."""

from __future__ import annotations

SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
PAD, START, END, UNKNOWN = range(len(SPECIAL))
FIRST = END
"""Ids below it are never written."""
