"""One thin module a web framework or analytics tool."""
