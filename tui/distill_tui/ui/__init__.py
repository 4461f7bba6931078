"""What all screens share: bar, dialogs, help."""
