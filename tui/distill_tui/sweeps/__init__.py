"""Screen 7: sweeps."""
