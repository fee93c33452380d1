"""Proof: what reports look like as pages. A report comes in; its sentence, its charts and its rows go out."""
