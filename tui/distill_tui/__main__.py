"""`python -m distill_tui` is the command `distill-tui`."""

from distill_tui.cli import main

main()
