"""The host's own package of this name."""

WHOSE = "the host"
