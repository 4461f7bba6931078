"""What times models, with torch."""
