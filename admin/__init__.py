"""The admin UI for product managers, imported as ``nudge_sdk.admin``."""
