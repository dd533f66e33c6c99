"""How sure: the log-odds model and its fit, the scorer, and the words for what it found."""
