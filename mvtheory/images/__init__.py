"""Real images with planted views."""
