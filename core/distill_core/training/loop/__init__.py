"""What trains students step by step, with torch."""
