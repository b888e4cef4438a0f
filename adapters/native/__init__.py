"""C++ code for what XLA is slow at on CPUs, compiled on the machine where it runs."""
