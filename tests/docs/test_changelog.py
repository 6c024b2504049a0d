"""The fragments of the changelog."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_fragment_is_of_a_kind_that_is_shown() -> None:
    """A kind that nobody declared would leave what it says out of the release notes, without a word."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    kinds = {kind["directory"] for kind in settings["type"]}
    fragments = [path for path in (ROOT / settings["directory"]).iterdir() if not path.name.startswith(".")]
    assert fragments
    assert [
        path.name for path in fragments if path.name.split(".")[-2:] not in [[kind, "md"] for kind in kinds]
    ] == []
