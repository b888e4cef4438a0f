"""The patch file: one small file per task, written and read without JAX."""
