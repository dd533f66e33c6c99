"""Running one job over many items: in threads, and in child processes that can be killed."""
