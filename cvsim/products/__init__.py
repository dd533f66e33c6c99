"""Learning from answer sets: a metric over the signals, how to group by it, and a classifier."""
