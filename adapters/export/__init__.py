"""From JAX to graphs that other runtimes run."""
