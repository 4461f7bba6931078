"""Screen 3: the run."""
