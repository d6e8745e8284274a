"""The experiments of the book: each trains or fits its nets on a few data draws once, and keeps what came out on disk."""
