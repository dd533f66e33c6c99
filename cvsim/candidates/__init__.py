"""Which pairs are worth comparing, without looking at all of them."""
