# shows: what scontrol tells a job of its own resources
# A job without a limit shows as a year where the backfill scheduler started it.
printf '#!/bin/sh\nscontrol show job $SLURM_JOB_ID | grep -oE "(TimeLimit|NumCPUs|NumTasks|MinMemory[A-Za-z]*|Partition|Comment|Requeue|Nice|OverSubscribe)=[^ ]*" | sed "s/365-00:00:00/UNLIMITED/" | sort -u' > job.sh
sbatch -o 1.log -n 2 --mem=100 job.sh
sbatch -o 2.log -n 2 --mem=100M job.sh
sbatch -o 3.log -n 3 job.sh
sbatch -o 4.log -t 10 job.sh
sbatch -o 5.log -t 0:10:00 job.sh
sbatch -o 6.log -t 9:30 job.sh
sbatch -o 7.log -p other -c 4 job.sh
sbatch -o 8.log --comment=x job.sh
sbatch -o 9.log --nice=7 job.sh
