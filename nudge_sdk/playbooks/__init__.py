"""Ready definitions, one a business model."""
