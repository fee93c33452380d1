"""Adapters that pass what is measured on to a monitoring system; see ``nudge_sdk.runtime.metrics``."""
