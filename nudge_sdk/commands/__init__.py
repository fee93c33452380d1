"""The commands of ``nudge``, one module for those that belong together."""
