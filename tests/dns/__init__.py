"""The computed answer against real DNS servers that are set up the same way."""
