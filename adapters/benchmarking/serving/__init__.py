"""The HTTP server under a public load generator, beside servers that do not mix tasks."""
