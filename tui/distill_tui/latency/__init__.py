"""Screen 5: what is measured."""
