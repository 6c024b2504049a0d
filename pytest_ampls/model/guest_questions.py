"""What is asked of a machine's guest, beside what is asked of every guest."""

from __future__ import annotations

import msgspec

__all__ = ["GuestQuestions"]


class GuestQuestions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The names that a guest should resolve and connect to, and the identities that it should get a token for.

    ``names`` are host names in lower case. ``identities`` are ``<identifier-name>#<identifier-value>`` as the
    agent's settings have them, or empty for a request that names no identity.
    """

    names: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
