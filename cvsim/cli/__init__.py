"""The command line: one file a verb, thin over the public functions. The only place that knows rich."""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``cvsim`` program; ends the process with its exit code."""
    from cvsim.cli.group import cvsim

    cvsim(prog_name="cvsim")
