"""Acting without fear: which file stays, the plan, carrying it out, and the way back."""
