"""What takes longer than an answer, or must not run in the server: jobs, indexing, decoding."""
