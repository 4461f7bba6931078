"""Reading an `lda.db`."""
