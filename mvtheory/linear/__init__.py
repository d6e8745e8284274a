"""Linear models on fixed features, and nets in the lazy limit."""
