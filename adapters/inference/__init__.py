"""A patched network in JAX: compiled once, proven before it answers."""
