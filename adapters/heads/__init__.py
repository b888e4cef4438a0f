"""What turns features into predictions, beside any patch."""
