"""Many runs: a space of settings, a ledger of trials that any number of processes work off, its reading."""
