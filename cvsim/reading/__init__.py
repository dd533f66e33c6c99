"""From files to nodes: what a run reads of each picture, and how it is kept."""
