"""How it is played: a recipe and a score become a performance, in seconds."""
