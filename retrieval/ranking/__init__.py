"""A query becomes ranked candidates."""
