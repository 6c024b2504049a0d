"""Azure Resource Manager, read only: clouds, credentials, the client, the inventory, snapshots."""
