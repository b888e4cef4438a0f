"""What turns maps of a backbone into answers: one file a kind of head."""
