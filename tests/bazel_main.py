"""Runs pytest on the files that a Bazel test target names."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:]))
