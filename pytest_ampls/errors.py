"""One exception tree for everything that goes wrong outside of a verdict.

A broken rule is not in this tree: it is a
:class:`~pytest_ampls.catalogue.ConformanceError`, an ``AssertionError``.

::

    AmplsError
    ├── ConfigurationError        what the user gave is wrong: an option, a file, a marker
    │   ├── RequirementsError     the requirements file (ampls.toml)
    │   └── SnapshotError         a snapshot file that cannot be read or written
    ├── ReadOnlyError             a request that could change something was stopped
    └── EvidenceError             something could not be verified, so nothing may pass on it
        ├── AuthenticationError   no token, or the token was refused (401)
        ├── AccessDeniedError     the identity may not read this (403)
        ├── ThrottledError        still throttled when the retry budget was spent (429)
        ├── UnreachableError      no answer: connection, TLS, timeout, server failure
        ├── DocumentError         an answer that cannot be understood, or lacks what a rule needs
        ├── NotFoundError         what was asked for does not exist (404)
        ├── NotReadError          it was never asked for, so nothing is known about it
        └── IncompleteError       several of these, in a test that judges many resources
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

__all__ = [
    "AccessDeniedError",
    "AmplsError",
    "AuthenticationError",
    "ConfigurationError",
    "DocumentError",
    "EvidenceError",
    "IncompleteError",
    "NotFoundError",
    "NotReadError",
    "ReadOnlyError",
    "RequirementsError",
    "SnapshotError",
    "ThrottledError",
    "UnreachableError",
]


def printable(text: str) -> str:
    r"""Return a text with its control characters spelt out, as ``\x1b`` or ``\n``.

    Names, tags and answers are other people's texts. On a terminal they could clear what stands above them,
    or write lines of their own; in JUnit XML most of them are not allowed.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class AmplsError(Exception):
    """Base of every error of this package that is not a verdict."""

    def __str__(self) -> str:
        return "\n".join(map(printable, super().__str__().split("\n")))


class ConfigurationError(AmplsError):
    """An option, an environment variable, a marker or a file that the user gave is wrong."""


class RequirementsError(ConfigurationError):
    """The requirements file (``ampls.toml``) is wrong; the message names the line."""


class SnapshotError(ConfigurationError):
    """A snapshot file cannot be read or written."""


class ReadOnlyError(AmplsError):
    """A request that could change something was stopped before it left the process."""


class EvidenceError(AmplsError):
    """Something could not be verified. Nothing may pass, and nothing may fail, because of it."""

    def __str__(self) -> str:
        return printable(super().__str__())  # one line: a name with a line break must not start another


class AuthenticationError(EvidenceError):
    """There is no token, or the token was refused (HTTP 401)."""


class AccessDeniedError(EvidenceError):
    """The identity may not read this (HTTP 403)."""


class ThrottledError(EvidenceError):
    """Still throttled when the retry budget was spent (HTTP 429)."""


class UnreachableError(EvidenceError):
    """There was no usable answer: connection, TLS, timeout, server failure."""


class DocumentError(EvidenceError):
    """An answer cannot be understood, or lacks a property that a rule needs."""


class NotFoundError(EvidenceError):
    """What was asked for does not exist (HTTP 404)."""


class NotReadError(EvidenceError):
    """It was never read, so nothing is known about it."""


class IncompleteError(EvidenceError):
    """Several things could not be verified in a test that judges many resources.

    ``str()`` is cut after the first few reasons; :meth:`text` is not.
    """

    SHOWN = 10

    def __init__(self, what: str, reasons: Iterable[str]) -> None:
        """Keep every reason once. ``what`` is counted already, such as ``3 of 7 resources``."""
        self.what = what
        self.reasons = Counter(printable(reason) for reason in reasons)
        super().__init__(what)

    @property
    def headline(self) -> str:
        """One line: what, and the first reason."""
        more = len(self.reasons) - 1
        first = next(iter(self.reasons))
        return f"{self.what}; {first}" + (f" (and {more} more reason{'s'[: more != 1]})" if more else "")

    def text(self, most: int | None = None) -> str:
        """Return what is missing, with each reason once: a line of its own for each where there are several.

        ``most`` is how many reasons are listed; the others are counted. None lists all.
        """
        return "\n".join(self._lines(most))

    def __str__(self) -> str:
        return self.text(self.SHOWN)

    def _lines(self, most: int | None) -> Iterator[str]:
        if len(self.reasons) == 1:
            yield self.headline
            return
        yield f"{self.what}, for {len(self.reasons)} reasons:"
        for reason, count in list(self.reasons.items())[:most]:
            yield f"  {reason}" + (f" ({count} times)" if count > 1 else "")
        if most is not None and len(self.reasons) > most:
            yield f"  … and {len(self.reasons) - most} more reasons"
