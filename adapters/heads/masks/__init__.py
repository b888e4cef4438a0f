"""Heads that tell which segment each pixel is of: decoder, matching, losses, answers and score."""
