"""Finding image files, telling what they are, and turning them into pixels."""
