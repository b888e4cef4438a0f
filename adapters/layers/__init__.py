"""Layers for one image [H, W, C]; jax.vmap maps them over examples."""
