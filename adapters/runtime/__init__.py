"""What runs on a device: one backbone and its patches, without JAX."""
