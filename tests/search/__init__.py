"""Tests of `adapters.search`."""
