"""Laying one picture over another: alignment, correlation of aligned pixels, colour changes, borders."""
