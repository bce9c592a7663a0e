"""A book in shards: accounts apart, one coordinator, the same answer as in one place."""
