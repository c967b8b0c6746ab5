# shows: options that resource requests are often written with; what a job sees of them, and what its steps do
# (Of a job with --time-min the backfill scheduler may shorten the limit, so that is not looked at.)
. "$TOOLS/lib.sh"
cp "$TOOLS/probe.py" job.py
n=0
call() { n=$((n + 1)); sbatch -o "$n.log" "$@" job.py; }
call --mem=100MB
call --mem=100mb
call --mem=102400Kb
call --mem-per-cpu=10MB --tmp=0GB
call --tmp=0mB --mem-per-cpu=10
call -n 2 --ntasks-per-node=2
call -n 2 --ntasks-per-node=2 -N 1
call -n 4 --tasks-per-node=4 -N 1
call --time=10 --time-min=5
call --time=10 --time-min=0:04:30
call --mincpus=2
call --mincpus=02 -c 1
call --mem-bind=local
call --mem-bind=verbose,local
call --mem-bind=LOCAL
call --switches=1
call --switches=1@10:00
call --profile=none
call --profile=Task
call --profile=task,energy
call --cpu-freq=high
call --cpu-freq=High
call --cpu-freq=2400000
call --mail-type=NONE
call --mail-type=none -a 1-2 -o array.%a.log
SBATCH_MEM_BIND=local call
SBATCH_PROFILE=none SBATCH_CPU_FREQ_REQ=low call
SBATCH_MEM_PER_NODE=100MB call
SLURM_PROFILE=energy SLURM_CPU_FREQ_REQ=low SLURM_MEM_BIND=none call --profile=task --cpu-freq=high --mem-bind=local
SLURM_NTASKS_PER_NODE=7 call -n 2 --ntasks-per-node=2
call --profile=task --export=NONE
call --cpu-freq=high --mem-bind=local --export=FOO
call --wait-all-nodes=1
call --wait-all-nodes=0
SBATCH_WAIT_ALL_NODES=1 call
call --gpu-bind=closest
call --gpu-bind=single:2
SBATCH_GPU_BIND=none call
printf '#!/bin/sh\n#SBATCH --mem 100MB\n#SBATCH --ntasks=2 --ntasks-per-node=2\n#SBATCH --time-min=1 -t 5 --mail-type=NONE\n#SBATCH --mem-bind=local --profile=task --cpu-freq=low\n. ./show.sh; env | grep -E "^SLURM_(PROFILE|CPU_F|MEM_B)"\n' > directives.sh
printf 'scontrol show job $SLURM_JOB_ID | grep -oE "(TimeMin|NumCPUs|NumTasks|NtasksPerN:B:S:C|MinCPUsNode|MinMemory[A-Za-z]*|MinTmpDiskNode|Switches|Mail[A-Za-z]*)=[^ ]*" | sort -u\n' > show.sh
show() { n=$((n + 1)); sbatch -o "$n.log" "$@" --wrap='. ./show.sh; srun -n 1 env | grep -E "^SLURM_(PROFILE|CPU_FREQ|MEM_BIND|CPU_BIND|NTASKS|TASKS)" | sort'; }
sbatch -o directives.log directives.sh
show --mem=100MB
show -n 3 --ntasks-per-node=3
show --time=10 --time-min=5
show --mincpus=3
show --switches=1@5
show --profile=task
show --cpu-freq=high
show --mem-bind=local
show --mem-bind=none
show --mail-type=NONE --mail-user=nobody
host=$(sinfo -h -N -p main -o %N | head -n 1)
id=$(sbatch --parsable -H -x "$host,$host" --wrap=true)
echo "$id"
[ -z "${SARRAY_MODE-}" ] || sarray-flush --session differential >/dev/null 2>&1
scontrol show job "$id" | grep -o 'ExcNodeList=[^ ]*' > excluded.txt
scancel "$id"
