"""Speed, memory and start-up time, beside a peer in a process of its own."""
