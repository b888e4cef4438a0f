"""Search over networks: spaces of decisions, what each route costs, and who chooses."""
