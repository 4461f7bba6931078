"""Screen 4: what the student is worth."""
