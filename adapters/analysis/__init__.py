"""What a network costs: parameters, multiply-adds, bytes, memory, and latency on a roofline."""
