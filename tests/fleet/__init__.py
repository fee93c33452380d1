"""Real servers in front of real stores: gunicorn with its workers, two hosts, kill -9."""
