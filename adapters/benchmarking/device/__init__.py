"""Measuring exported graphs: what devices run, beside JAX and PyTorch."""
