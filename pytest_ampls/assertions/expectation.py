"""Values that a rule may be told to expect; no rule of its own."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_ampls.errors import ConfigurationError

__all__ = ["one_of"]


def one_of(choices: Sequence[str], value: str, name: str = "expected") -> str:
    """Return the choice that a value is, without regard to case.

    Raises:
        ConfigurationError: it is none of them.
    """
    for choice in choices:
        if choice.lower() == value.lower():
            return choice
    raise ConfigurationError(f"{name}={value!r} is none of {', '.join(choices)}")
