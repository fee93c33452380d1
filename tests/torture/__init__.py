"""Real processes, killed at random moments. ``python -m tests.torture --kills 200`` runs any length."""
