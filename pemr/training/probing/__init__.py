"""A pretrained encoder becomes figures of music classification."""
