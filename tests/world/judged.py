"""What a run of the plugin found, read from its JUnit file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tests.world.nodes import WorldError

__all__ = ["Judged", "judged"]

_TEST = re.compile(r"test_(ampls\d+)_\w*\[(.*)\]")


class Judged(NamedTuple):
    """Each outcome as rule → subjects; ``text`` is the terminal's, ``code`` the exit code.

    A test that is not of a rule stands there by its own name, with a subject of no name.
    """

    code: int
    text: str
    broken: dict[str, set[str]]
    unverified: dict[str, set[str]]
    held: dict[str, set[str]]


def judged(report: Path, code: int, text: str) -> Judged:
    """Read the report of a run.

    Raises:
        WorldError: there was no run; the message is the terminal's text.
    """
    if not report.exists():
        raise WorldError(f"the plugin wrote no report (exit code {code}):\n{text}")
    found: dict[str, dict[str, set[str]]] = {"failure": {}, "error": {}, "held": {}, "skipped": {}}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "")
        match = _TEST.fullmatch(name)
        rule, subject = (match[1].upper(), match[2]) if match is not None else (name, "")
        outcome = next((child.tag for child in case if child.tag in found), "held")
        found[outcome].setdefault(rule, set()).add(subject)
    return Judged(code, text, found["failure"], found["error"], found["held"])
