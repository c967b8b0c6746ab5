"""squeue, scancel, sacct and scontrol with tickets."""
