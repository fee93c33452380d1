"""The store: what is kept, in SQLite, PostgreSQL or memory, behind one protocol."""
