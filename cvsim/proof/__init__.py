"""What a removal rests on: whether one picture explains all that is visible in another.

The package's entry is `cvsim.proof.explained.explain`.
"""
