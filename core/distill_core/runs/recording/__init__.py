"""What trains runs and keeps them, with torch."""
