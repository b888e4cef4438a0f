"""The patch contract and one file per patch family."""
