"""Paperplane: a small e-mail tool with the SDK inside, to look at and to try things out."""
