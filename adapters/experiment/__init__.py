"""Whole experiments: train, evaluate, compare, export and serve, from settings to files."""
