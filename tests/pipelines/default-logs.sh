# shows: logs without a name are where Slurm puts them
# arrays: 2
printf '#!/bin/sh\necho out "$@"; echo err >&2' > job.sh
sbatch job.sh 1
mkdir sub
sbatch -D sub job.sh 2
(cd sub; sbatch ../job.sh 3)
sbatch --array=1-3 job.sh 4
sbatch --array=7 job.sh 5
