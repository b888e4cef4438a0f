"""Which task trains next, and how much it counts."""
