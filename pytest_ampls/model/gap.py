"""Why a piece of evidence is missing."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from pytest_ampls.errors import (
    AccessDeniedError,
    AuthenticationError,
    DocumentError,
    EvidenceError,
    NotFoundError,
    NotReadError,
    ThrottledError,
    UnreachableError,
)

__all__ = ["Gap", "GapKind"]


class GapKind(StrEnum):
    """Why a piece of evidence is missing."""

    DENIED = "denied"
    UNAUTHENTICATED = "unauthenticated"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"
    ABSENT = "absent"
    NOT_READ = "not-read"


_ERRORS: Final[dict[GapKind, type[EvidenceError]]] = {
    GapKind.DENIED: AccessDeniedError,
    GapKind.UNAUTHENTICATED: AuthenticationError,
    GapKind.THROTTLED: ThrottledError,
    GapKind.UNREACHABLE: UnreachableError,
    GapKind.MALFORMED: DocumentError,
    GapKind.ABSENT: NotFoundError,
    GapKind.NOT_READ: NotReadError,
}


class Gap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A read that did not succeed: whatever depends on it is unverified.

    ``message`` is complete for a reader: what was asked, where, what came back, what to do.
    ``permission`` is the RBAC action that is missing, where that is the reason.
    """

    kind: GapKind
    message: str
    status: int | None = None
    permission: str | None = None

    def error(self) -> EvidenceError:
        """Return the exception that says this."""
        return _ERRORS[self.kind](self.message)
