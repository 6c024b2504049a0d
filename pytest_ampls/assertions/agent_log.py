"""The errors of the agent's log that are known, and what they mean; no rule of its own."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["KNOWN_ERRORS", "KnownError", "known_error"]


class KnownError(NamedTuple):
    """An error text, as a regular expression, and what is behind it."""

    pattern: str
    meaning: str
    rules: str


# The more telling text before the one that accompanies it.
# Sources: the Linux agent's troubleshooter and handler, the product's known issues, and reports of the errors.
KNOWN_ERRORS: Final = (
    KnownError(
        r"Data collection endpoint must be used to access configuration over private link|-2146172665",
        "the handler is private, and the machine has no configuration endpoint, or one that is not in the scope",
        "AMPLS402, AMPLS404",
    ),
    KnownError(
        r"Failed to upload to ODS: 403",
        "the workspace refused the public path: its ods name did not lead to the private endpoint",
        "AMPLS301, AMPLS522",
    ),
    KnownError(
        r"(?:upload(?:ing)? to ODS|ODS): Error resolving address",
        "the workspace's ods name has no address on the machine",
        "AMPLS302, AMPLS522",
    ),
    KnownError(
        r"Multiple user assigned identities exist",
        "several user-assigned identities are attached, and the agent's settings name none",
        "AMPLS503",
    ),
    KnownError(
        r"Identity not found",
        "the identity that the agent asks for is not attached to the machine",
        "AMPLS502",
    ),
    KnownError(
        r"Failed to get MSI token from IMDS endpoint|-2146041343",
        "the instance metadata service gave the agent no token",
        "AMPLS502, AMPLS521",
    ),
    KnownError(
        r"Error in SSL handshake",
        "TLS was not agreed on: mostly a firewall that breaks it open to inspect it",
        "AMPLS523",
    ),
)
"""Error texts of ``mdsd.err`` with their meanings and the rules that look at the cause."""


def known_error(line: str) -> KnownError | None:
    """Return what a line of the log means, None for an error that is not known."""
    return next((each for each in KNOWN_ERRORS if re.search(each.pattern, line, re.IGNORECASE)), None)
