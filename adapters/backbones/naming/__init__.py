"""How other code bases name the tensors of a layer table: one file a code base."""
