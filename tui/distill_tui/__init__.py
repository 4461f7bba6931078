"""The terminal application and the command line of distill-tui."""
