"""Live charts as plain arrays: history, thinning, axes, braille. Knows no Textual and no thread."""
