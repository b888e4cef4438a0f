"""Reading what TensorFlow saves, without TensorFlow; `read.py` says which files."""
