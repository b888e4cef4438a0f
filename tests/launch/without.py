"""`python -m tests.launch.without PACKAGE MODULE FLAGS`: a module, where a package is not there."""

import runpy
import sys

if __name__ == "__main__":
    package, module = sys.argv[1:3]
    del sys.argv[1:3]
    sys.modules[package] = None  # importing it fails from here on
    runpy.run_module(module, run_name="__main__", alter_sys=True)
