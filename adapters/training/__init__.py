"""The one training step, its optimiser, loop and checkpoints."""
