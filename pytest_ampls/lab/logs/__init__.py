"""Log Analytics in the lab: the query service, who may ask it, and what its table holds."""
