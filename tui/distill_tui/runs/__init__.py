"""Screen 6: the runs on disk."""
