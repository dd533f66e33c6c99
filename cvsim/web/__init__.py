"""The local pages: on this machine, for the person who started them, and for nobody else."""
