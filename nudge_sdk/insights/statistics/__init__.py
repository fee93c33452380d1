"""Statistics that every report shares: intervals, comparisons, tests. Each names its source; none reads a store."""
