"""One score from many signals: the log-odds model, its training, and what happened between two pictures."""
