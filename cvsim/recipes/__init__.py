"""One verb a file, each of which reads as its steps. No algorithms here."""
