"""Jobs on Slurm and HTCondor: resources and sites, job scripts, the state of the queue, retries, and the table of failures."""
