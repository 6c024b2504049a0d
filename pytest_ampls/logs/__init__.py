"""Log Analytics: one question to each workspace that machines send to, and what it answered."""

from __future__ import annotations

from pytest_ampls.logs.gather import ask_all

__all__ = ["ask_all"]
