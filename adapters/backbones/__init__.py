"""Layer tables, the one builder, and published weights."""
