"""The rules: pure functions over frozen values. No clock, no I/O, no threads."""
