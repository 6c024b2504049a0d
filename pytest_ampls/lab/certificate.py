"""A throw-away certificate authority, made anew for every lab."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import trustme

__all__ = ["Certificates"]


class Certificates:
    """A CA and a server certificate for 127.0.0.1 and localhost.

    ``bundle`` is a PEM file with the CA's certificate, in a temporary folder that :meth:`close`
    removes; private keys are never left on disk. ``authority`` issues further ones.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ampls-lab-")
        self.authority = authority = trustme.CA(organization_name="ampls lab (throw-away)")
        self.bundle = Path(self._folder.name) / "ca.pem"
        authority.cert_pem.write_to_path(self.bundle)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self.context)

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()
