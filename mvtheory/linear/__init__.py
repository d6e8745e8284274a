"""Models on features that stay fixed, and nets in the lazy limit."""
