"""Sign in with a certificate instead of the default chain of credentials."""

import os

from azure.identity import CertificateCredential


def pytest_ampls_credential(cloud):
    """Return the credential that the estate is read with."""
    if "PIPELINE_CERTIFICATE" not in os.environ:
        return None  # the default chain decides
    return CertificateCredential(
        tenant_id=os.environ["PIPELINE_TENANT"],
        client_id=os.environ["PIPELINE_CLIENT"],
        certificate_path=os.environ["PIPELINE_CERTIFICATE"],
        authority=cloud.authority,
    )
