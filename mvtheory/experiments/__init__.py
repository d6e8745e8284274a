"""The experiments of the book: each trains its models on a few data draws, once, and keeps the results on disk."""
