"""One module for each kind of source; each gives a Checkpoint."""
