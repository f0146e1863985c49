"""What is done to sound before a model sees it."""
