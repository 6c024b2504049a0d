"""TCP and TLS to the addresses of private endpoints, from where the run is.

Each address is asked for its name in a normal handshake, whose chain is verified, and then for each
TLS version alone. Nothing is sent but the handshakes themselves.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import re
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from cryptography import x509

from pytest_ampls.errors import ConfigurationError, EvidenceError, printable
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.handshake import RUNNER, Certificate, Handshake
from pytest_ampls.model.network import PrivateEndpoint
from pytest_ampls.severable import Interruption, Severable, side_by_side, tenths

__all__ = ["probe_all", "targets_of"]

_PORT: Final = 443
_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE | re.ASCII)

_VERSIONS: Final[Mapping[str, str]] = {
    "TLSv1": "TLSv1",
    "TLSv1.1": "TLSv1_1",
    "TLSv1.2": "TLSv1_2",
    "TLSv1.3": "TLSv1_3",
}
"""Versions as OpenSSL spells them, oldest first, to the names of :class:`ssl.TLSVersion`."""

_EVERY_CIPHER: Final = "ALL:@SECLEVEL=0"
"""OpenSSL 3 has no signature for TLS 1.0 and 1.1 above security level 0, so it could not offer them."""

# Reasons that OpenSSL gives when what came back is no TLS record; 3.x names them differently.
_NO_TLS: Final = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
    }
)
_REFUSALS: Final = frozenset({"UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER", "WRONG_SSL_VERSION"})
"""Reasons, beside alerts, when another version came back; whatever else may lie on this side."""

_DISTRUST: Final[Mapping[int, str]] = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is signed by itself, not by a trusted authority",
    19: "its root is not trusted here",
    20: "its issuer is not trusted here",
    21: "its issuer is not trusted here",
    62: "it is for another name",
}
"""OpenSSL's X509_V_ERR codes (x509_vfy.h), in words."""

_ADVICE: Final = "Look at network security groups, routes and firewalls between this machine and {address}"

Progress = Callable[[str], None]


def targets_of(estate: Estate) -> tuple[tuple[str, str], ...]:
    """Return what is to be probed: each name that a private endpoint of a scope serves, with each address.

    Endpoints whose names were not read are left out: the rules that judge them say why.
    """
    found: dict[tuple[str, str], None] = {}
    for endpoint in estate.known(PrivateEndpoint):
        if not endpoint.is_azure_monitor:
            continue
        with suppress(EvidenceError):
            found.update(
                ((name, address), None)
                for name, addresses in endpoint.members.items()
                for address in addresses
            )
    return tuple(found)


def probe_all(
    targets: Iterable[tuple[str, str]],
    *,
    concurrency: int = 16,
    timeout: float = 5.0,
    ca_bundle: str | None = None,
    address_map: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
) -> tuple[Handshake, ...]:
    """Connect to TCP 443 of addresses and agree on TLS, several at once.

    Args:
        targets: pairs of public name and IP address; each pair is tried once.
        concurrency: connections that are open at once, at most.
        timeout: seconds for the TCP connection, and again for the TLS handshake.
        ca_bundle: PEM file of the authorities to trust; None trusts those of the system.
        address_map: where to connect to in place of each address, as ``127.0.0.1:8443``. With a map, an address
            that it lacks is not connected to.
        on_progress: gets a line of text now and then.

    Returns:
        One handshake for each pair, in the order of the targets. What did not come about is a gap, never raised.

    Raises:
        ConfigurationError: the CA bundle cannot be read.
    """
    wanted = tuple(dict.fromkeys(targets))
    if not wanted:
        return ()
    offers = _offers(ca_bundle)
    interruption = Interruption()
    places = {target: _place(*target, timeout, address_map, interruption) for target in wanted}
    jobs = {target: partial(_probe, target, place, offers) for target, place in places.items()}
    said = tenths(len(jobs), "probes: {} of {} addresses connected to", on_progress)
    found = side_by_side(jobs, interruption.end, at_once=concurrency, on_done=said)
    return tuple(found[target] for target in wanted)


# ------------------------------------------------------------------- what is offered


class _Offers(NamedTuple):
    """The contexts to connect with. ``alone`` has a reason in place of a version that cannot be offered."""

    normal: ssl.SSLContext
    old: ssl.SSLContext
    unverified: ssl.SSLContext
    alone: Mapping[str, ssl.SSLContext | str]


def _offers(ca_bundle: str | None) -> _Offers:
    """Return every context. Made before any thread starts: filters of warnings are the whole process's."""
    try:
        normal, old = (ssl.create_default_context(cafile=ca_bundle or None) for _ in range(2))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"the CA bundle {ca_bundle} cannot be read: {error}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        unverified = _trusting_anybody()
        for context in (old, unverified):
            context.set_ciphers(_EVERY_CIPHER)
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        alone = {label: _alone(ssl.TLSVersion[name]) for label, name in _VERSIONS.items()}
    return _Offers(normal, old, unverified, alone)


def _trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # to look at a chain that is not trusted, and at what else is accepted
    context.verify_mode = ssl.CERT_NONE
    return context


def _alone(version: ssl.TLSVersion) -> ssl.SSLContext | str:
    if not getattr(ssl, f"HAS_{version.name}"):
        return "OpenSSL was built without it here"
    context = _trusting_anybody()
    try:
        context.set_ciphers(_EVERY_CIPHER)
        context.minimum_version = context.maximum_version = version
    except (ssl.SSLError, ValueError) as error:
        return f"OpenSSL does not offer it here ({error})"
    return context


# ------------------------------------------------------------------- one address


class _Place(NamedTuple):
    """Where a connection goes, what it asks for, and how it is called in messages."""

    name: str
    address: str
    host: str
    port: int
    timeout: float
    interruption: Interruption

    @property
    def label(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{printable(host)}:{_PORT}"


class _NotAgreedError(Exception):
    """A handshake that did not come about: ``cause`` says why, ``reached`` whether TCP connected."""

    def __init__(self, cause: OSError, *, reached: bool) -> None:
        super().__init__(cause)
        self.cause = cause
        self.reached = reached


class _Agreed(NamedTuple):
    version: str
    cipher: str
    chain: tuple[bytes, ...]


def _probe(target: tuple[str, str], place: _Place | Gap, offers: _Offers) -> Handshake:
    name, address = target
    read_at = time.time()
    if isinstance(place, Gap):
        return Handshake(vantage_point=RUNNER, name=name, address=address, read_at=read_at, gap=place)
    tried = Handshake(vantage_point=RUNNER, name=name, address=address, reached=True, read_at=read_at)
    try:
        agreed, distrust = _agree(place, offers)
    except _NotAgreedError as error:
        return msgspec.structs.replace(tried, reached=error.reached, gap=_gap(error, place))
    return msgspec.structs.replace(
        tried,
        version=agreed.version,
        cipher=agreed.cipher,
        versions={label: _outcome(place, context) for label, context in offers.alone.items()},
        chain=tuple(map(_certificate, agreed.chain)),
        trusted=not distrust,
        distrust=distrust,
    )


def _place(
    name: str,
    address: str,
    timeout: float,
    address_map: Mapping[str, str] | None,
    interruption: Interruption,
) -> _Place | Gap:
    try:
        ipaddress.ip_address(address)  # anything else would be looked up in DNS
    except ValueError:
        text = f"{name} has {address!r} as an address, which is none: nothing was connected to"
        return Gap(kind=GapKind.MALFORMED, message=printable(text))
    if not _HOST.fullmatch(name):  # ssl leaks a socket where it cannot spell a name
        text = f"{name!r} is no host name: nothing was connected to"
        return Gap(kind=GapKind.MALFORMED, message=printable(text))
    if address_map is None:
        return _Place(name, address, address, _PORT, timeout, interruption)
    host, _, port = address_map.get(address, "").rpartition(":")
    if not host:
        text = f"{address} (of {name}) was not connected to: the address map has no place for it"
        return Gap(kind=GapKind.NOT_READ, message=printable(text))
    return _Place(name, address, host.strip("[]"), int(port), timeout, interruption)


def _agree(place: _Place, offers: _Offers) -> tuple[_Agreed, str]:
    """Agree on TLS as a careful client would, else as an old one; return what came of it, and why it is not trusted.

    A verification that fails ends the handshake, so the chain is fetched by one that verifies nothing.
    """
    try:
        return _shake(place, offers.normal), ""
    except _NotAgreedError as error:
        if isinstance(error.cause, ssl.SSLCertVerificationError):
            return _shake(place, offers.unverified), _distrust(error.cause)
        if not error.reached or isinstance(error.cause, TimeoutError):
            raise
        careful = error
    try:
        return _shake(place, offers.old), ""
    except _NotAgreedError as error:
        if isinstance(error.cause, ssl.SSLCertVerificationError):
            return _shake(place, offers.unverified), _distrust(error.cause)
        raise careful from None


def _shake(place: _Place, context: ssl.SSLContext) -> _Agreed:
    """Connect, agree on TLS, and hang up."""
    reached, work = False, Severable()
    try:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        with socket.socket(family) as plain, place.interruption.ending(work.sever):
            plain.settimeout(place.timeout)
            work.hold(plain)
            if work.is_severed:
                raise InterruptedError(errno.EINTR, "interrupted")
            plain.connect((place.host, place.port))
            reached = True
            with context.wrap_socket(plain, server_hostname=place.name, do_handshake_on_connect=False) as tls:
                work.hold(tls)
                tls.do_handshake()
                cipher = tls.cipher()
                return _Agreed(tls.version() or "", cipher[0] if cipher else "", _chain(tls))
    except OSError as error:
        raise _NotAgreedError(error, reached=reached) from None


def _chain(secure: ssl.SSLSocket) -> tuple[bytes, ...]:
    """Return the certificates that the server sent, as DER, leaf first.

    Public since Python 3.13; before that only the object behind the socket has it, and gives objects.
    """
    public: Callable[[], list[Any]] | None = getattr(secure, "get_unverified_chain", None)
    inner: Any = getattr(secure, "_sslobj", None)
    sent: list[Any] = (public or inner.get_unverified_chain)() or []
    return tuple(
        part if isinstance(part, bytes) else ssl.PEM_cert_to_DER_cert(part.public_bytes()) for part in sent
    )


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    said = printable(error.verify_message or error.reason or "refused")
    return f"{_DISTRUST[error.verify_code]} ({said})" if error.verify_code in _DISTRUST else said


def _outcome(place: _Place, context: ssl.SSLContext | str) -> str:
    """Return what comes of one version that is offered alone, where a normal handshake came about."""
    if isinstance(context, str):
        return f"untested: {context}"
    try:
        _shake(place, context)
    except _NotAgreedError as error:
        if error.reached and _is_refusal(error.cause):
            return "refused"
        return f"untested: {_plain(error.cause)}"
    return "accepted"


def _is_refusal(cause: OSError) -> bool:
    # Some servers hang up in place of an alert: what they agree on otherwise shows that they speak TLS.
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionResetError | BrokenPipeError):
        return True
    reason = str(getattr(cause, "reason", ""))
    return "ALERT" in reason or reason in _REFUSALS


# ------------------------------------------------------------------- in words


def _gap(error: _NotAgreedError, place: _Place) -> Gap:
    kind, what = _unreached(error.cause) if not error.reached else _unagreed(error.cause)
    what = what.replace("{seconds}", f"{place.timeout:g}")
    asked = f"{place.label}, asked for {printable(place.name)} from this machine: {what}"
    return Gap(kind=kind, message=f"{asked}. {_ADVICE.format(address=printable(place.address))}")


def _unreached(cause: OSError) -> tuple[GapKind, str]:
    if isinstance(cause, TimeoutError):
        return GapKind.UNREACHABLE, "no answer within {seconds} s, so it is dropped on its way"
    if isinstance(cause, ConnectionRefusedError):
        return GapKind.UNREACHABLE, "the connection is refused"
    if isinstance(cause, ConnectionResetError):
        return GapKind.UNREACHABLE, "the connection is reset"
    if cause.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return GapKind.UNREACHABLE, "there is no route"
    return GapKind.NOT_READ, f"nothing was tried ({_plain(cause)})"


def _unagreed(cause: OSError) -> tuple[GapKind, str]:
    if isinstance(cause, TimeoutError):
        return GapKind.UNREACHABLE, "TCP connects, and no TLS handshake comes about within {seconds} s"
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionResetError | BrokenPipeError):
        return GapKind.UNREACHABLE, "TCP connects, and the connection is cut during the TLS handshake"
    if isinstance(cause, ssl.SSLError):
        if cause.reason in _NO_TLS:
            return GapKind.MALFORMED, "TCP connects, and what answers does not speak TLS"
        return GapKind.UNREACHABLE, f"TCP connects, and TLS is not agreed on ({_plain(cause)})"
    return GapKind.UNREACHABLE, f"TCP connects, and the TLS handshake breaks off ({_plain(cause)})"


def _plain(cause: OSError) -> str:
    text = getattr(cause, "reason", None) or getattr(cause, "strerror", None) or str(cause)
    return printable(str(text))


def _certificate(der: bytes) -> Certificate:
    """Return what a certificate says; one that cannot be understood keeps its fingerprint alone."""
    sha256 = hashlib.sha256(der).hexdigest()
    try:
        parsed = x509.load_der_x509_certificate(der)
        return Certificate(
            subject=parsed.subject.rfc4514_string(),
            issuer=parsed.issuer.rfc4514_string(),
            names=_names(parsed),
            not_after=parsed.not_valid_after_utc.timestamp(),
            sha256=sha256,
        )
    except (ValueError, x509.DuplicateExtension):
        return Certificate(subject="", issuer="", sha256=sha256)


def _names(parsed: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value.get_values_for_type(x509.DNSName))
