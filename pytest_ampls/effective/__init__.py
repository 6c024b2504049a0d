"""What the configuration amounts to: pure computations over the model."""
