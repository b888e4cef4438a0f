"""Test targets that pytest runs: Bazel runs a file as a script, which in a test does nothing."""

load("@rules_python//python:defs.bzl", "py_test")

def pytest_tests(srcs, deps):
    """Declares one test for each file in `srcs`, which some of the others import from."""
    for src in srcs:
        py_test(
            name = src[:-len(".py")],
            srcs = srcs + ["//tests:bazel_main.py"],
            main = "//tests:bazel_main.py",
            args = ["$(rootpath %s)" % src],
            deps = deps,
        )
