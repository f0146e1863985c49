"""Qdrant: its address, its points, and what it says when something goes wrong."""
