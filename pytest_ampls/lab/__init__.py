"""The lab: a small Azure that misbehaves on request, served on loopback.

It speaks the real protocols (ARM over HTTPS with tokens from its own sign-in, DNS with a view
for each VNet), so that unmodified clients work against it, and shares no code with what it tests.

::

    with Lab.from_spec("hub-and-spoke+missing-config-endpoint") as lab:
        print(lab.arm_endpoint, lab.subscriptions, lab.views)
"""

from __future__ import annotations

from pytest_ampls.lab.estate import estates
from pytest_ampls.lab.fault import Fault, faults
from pytest_ampls.lab.laboratory import Lab, View
from pytest_ampls.lab.messages import Asked
from pytest_ampls.lab.spec import LabError

__all__ = ["Asked", "Fault", "Lab", "LabError", "View", "estates", "faults"]
