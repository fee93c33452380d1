"""What runs in the host's process around the pure rules: the journal, the drainer, and what is cached."""
