# shows: array calls in all spellings of --array have their own task ids and variables
cp "$TOOLS/probe.py" job.py
n=0
for spec in 1-3 0-4:2 1,3,7 5 0-9:3,20 1-4,6-8:2 0-2:5 3,1,2 04,08 1-3,2; do
    sbatch -J "n$n" -o "%x-%A-%a.log" --array=$spec job.py "$spec"
    n=$((n + 1))
done
sbatch -o "plain.log" job.py
sbatch -J throttled -o "%x-%a.log" --array=1-4%2 job.py
sbatch -J two -o "%x-%3a.log" -a 1-2 job.py
SBATCH_ARRAY_INX=2-3 sbatch -J var -o "%x-%a.log" job.py
SBATCH_ARRAY_INX=2-3 sbatch -J cancelled -o "%x-%a.log" -a "" job.py
printf '#!/bin/sh\n#SBATCH --array=6,8\n#SBATCH -o d-%%a.log\necho $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT' > d.sh
sbatch d.sh
sbatch -o e.log -a '' d.sh
