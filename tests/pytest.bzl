"""A test target that pytest runs: Bazel runs a file as a script, which in a test does nothing."""

load("@rules_python//python:defs.bzl", "py_test")

def pytest_test(name, srcs, deps = []):
    """Declares the test `name` over the one file in `srcs`."""
    py_test(
        name = name,
        srcs = srcs + ["//tests:bazel_main.py"],
        main = "//tests:bazel_main.py",
        args = ["$(rootpath %s)" % srcs[0]],
        deps = deps + ["//tests:bazel_main"],
    )
