"""A server whose requests, of whatever tasks, share the backbone's passes."""
