"""One file a kind of row: each maps [H, W, inputs] to [H', W', outputs] under its row's columns."""
