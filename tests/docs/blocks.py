"""The fenced blocks of the documentation, with what stands above them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["PAGES", "ROOT", "Block", "blocks"]

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = tuple(
    sorted(
        [
            *ROOT.glob("*.md"),
            *(
                path
                for path in (ROOT / "docs").rglob("*.md")
                if not {"changelog.d", "_build"} & set(path.parts)
            ),
        ]
    )
)

_NOTE: Final = re.compile(r"<!-- (?:not run: (?P<reason>.+)|exit (?P<exit>\d+)) -->")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block: where it is, its language and text.

    ``reason`` says why it is not run, ``exit`` which status its last command ends with: both are
    comments on the line above the block.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    exit: int = 0

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The file that the block shows: named by its first line, else made up from its place."""
        named = re.match(r"# ([\w-]+\.(?:py|toml))\n", self.text)
        return named.group(1) if named else f"test_line_{self.line}.py"


def blocks(language: str) -> list[Block]:
    """Return every block of a language that is to be run, in the order of the pages."""
    return [
        block for page in PAGES for block in _blocks(page) if block.language == language and not block.reason
    ]


def _blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        note = _NOTE.fullmatch(lines[start - 1].strip()) if start else None
        yield Block(
            page=page.relative_to(ROOT).as_posix(),
            line=start + 1,
            language=lines[start].strip("`").strip(),
            text="\n".join(lines[start + 1 : number]) + "\n",
            reason=(note["reason"] or "") if note else "",
            exit=int(note["exit"] or 0) if note else 0,
        )
        start = None
    assert start is None, f"{page}:{(start or 0) + 1}: a block is never closed"
