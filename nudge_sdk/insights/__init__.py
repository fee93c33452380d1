"""Insights: what the stored people and events say about the rules."""
