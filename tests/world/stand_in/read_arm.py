"""Reads the documents of a lab with plain HTTPS, and prints them as one JSON object: type → documents.

``python read_arm.py READY-FILE``. It runs where the lab runs, and knows nothing of the product.
"""

from __future__ import annotations

import json
import ssl
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

NETWORK = "2024-05-01"
ZONES = "2024-06-01"
INSIGHTS = "2023-03-11"
LISTINGS = {
    "Microsoft.Network/virtualNetworks": NETWORK,
    "Microsoft.Network/networkInterfaces": NETWORK,
    "Microsoft.Network/privateEndpoints": NETWORK,
    "Microsoft.Network/privateDnsZones": ZONES,
    "Microsoft.Compute/virtualMachines": "2024-07-01",
    "Microsoft.HybridCompute/machines": "2024-07-10",
    "Microsoft.Insights/dataCollectionRules": INSIGHTS,
    "Microsoft.Insights/dataCollectionEndpoints": INSIGHTS,
    "Microsoft.OperationalInsights/workspaces": "2023-09-01",
}
BELOW = {
    "Microsoft.Network/privateDnsZones": (("A", ZONES), ("virtualNetworkLinks", ZONES)),
    "Microsoft.Compute/virtualMachines": (
        ("providers/Microsoft.Insights/dataCollectionRuleAssociations", INSIGHTS),
    ),
    "Microsoft.HybridCompute/machines": (
        ("providers/Microsoft.Insights/dataCollectionRuleAssociations", INSIGHTS),
    ),
}


def main(connection: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return every document that the world is built from."""
    trust = ssl.create_default_context(cafile=connection["ca_bundle"])

    def ask(url: str, form: dict[str, str] | None = None, token: str = "") -> dict[str, Any]:
        request = urllib.request.Request(url, data=urlencode(form).encode() if form else None)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, context=trust) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    form = {"grant_type": "client_credentials", "scope": f"{connection['arm_endpoint']}/.default"}
    form |= {key: connection[key] for key in ("client_id", "client_secret")}
    token = ask(f"{connection['authority']}/{connection['tenant_id']}/oauth2/v2.0/token", form)[
        "access_token"
    ]

    def listing(path: str, version: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        url = f"{connection['arm_endpoint']}{path}?api-version={version}"
        while url:
            page = ask(url, token=token)
            found += page["value"]
            url = page.get("nextLink") or ""
        return found

    documents: dict[str, list[dict[str, Any]]] = {}
    for subscription in connection["subscriptions"]:
        for kind, version in LISTINGS.items():
            parents = listing(f"/subscriptions/{subscription}/providers/{kind}", version)
            documents.setdefault(kind, []).extend(parents)
            for child, child_version in BELOW.get(kind, ()):
                place = documents.setdefault(f"{kind}/{child.rpartition('/')[2]}", [])
                for parent in parents:
                    place += listing(f"{parent['id']}/{child}", child_version)
    return documents


if __name__ == "__main__":
    json.dump(main(json.loads(Path(sys.argv[1]).read_text())), sys.stdout)
