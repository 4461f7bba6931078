"""Figures and results in words, for screens and command line alike."""
