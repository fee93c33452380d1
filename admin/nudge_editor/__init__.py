"""The editor of nudges: its form, field by field, and its preview."""
