"""Screen 2: the student."""
