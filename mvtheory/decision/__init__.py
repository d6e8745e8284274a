"""Is an ensemble worth it? The parts of :func:`mvtheory.diagnose.diagnose`."""
