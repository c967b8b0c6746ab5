# shows: jobs ask for, hold, requeue and cancel themselves by their id: scripts, programs, absolute paths, login shells
# ids: real
. "$TOOLS/lib.sh"
cat > way.py <<'P'
import os, subprocess, sys
subprocess.run([*sys.argv[1].split(), os.environ["SLURM_JOB_ID"]], check=True)
P
cat > job.sh <<'JOB'
#!/bin/bash
echo "start $1 $SLURM_JOB_ID ${SLURM_RESTART_COUNT-0}" >>"ran.$1"
[ "${SLURM_RESTART_COUNT-0}" = 0 ] || exit 0
case $1 in
show) scontrol show job "$SLURM_JOB_ID" | grep -o '^JobId=.*\|JobName=.*\|JobState=.*' >>"ran.$1" ;;
absolute) /usr/bin/scontrol show job "$SLURM_JOB_ID" | grep -o '^JobId=[0-9]*\|JobState=[A-Z]*' >>"ran.$1" ;;
oneliner) /usr/bin/scontrol -o show job="$SLURM_JOB_ID" | grep -o 'JobState=[A-Z]*' >>"ran.$1" ;;
login) bash -lc '/usr/bin/scontrol show job $SLURM_JOB_ID' | grep -o '^JobId=[0-9]*\|JobState=[A-Z]*' >>"ran.$1" ;;
program) python3 way.py "scontrol show job" | grep -o '^JobId=[0-9]*\|JobState=[A-Z]*' >>"ran.$1" ;;
refused)
    for key in TimeLimit=9 Nice=-5 QOS=none; do
        scontrol update JobId="$SLURM_JOB_ID" $key >>"ran.$1" 2>&1
        echo "$?" >>"ran.$1"
    done
    ;;
update) scontrol update JobId="$SLURM_JOB_ID" Comment=mine TimeLimit=4; squeue -h -j "$SLURM_JOB_ID" -o '%l %k' >>"ran.$1" ;;
requeuehold) exec python3 way.py "scontrol requeuehold" ;;
absrequeue) exec bash -lc '/usr/bin/scontrol requeuehold $SLURM_JOB_ID && exec sleep 60' ;;
cancel) exec scancel "$SLURM_JOB_ID" ;;
steps)
    srun -Q -n1 sh -c 'echo step $SLURM_JOB_ID $SLURM_STEP_ID' >>"ran.$1"
    srun -Q --jobid="$SLURM_JOB_ID" -n1 true && sstat -n -j "$SLURM_JOB_ID" -o JobID >/dev/null
    echo "$?" >>"ran.$1"
    ;;
chain) sbatch -Q -J "${1}2" -o /dev/null -d "afterok:$SLURM_JOB_ID" --wrap "cat ran.$1 >ran.${1}2" ;;
hold)
    id=$(sbatch --parsable -H -J "${1}2" -o /dev/null job.sh never)
    scontrol hold "$id"
    scancel "$id"
    ;;
esac
echo "end $1" >>"ran.$1"
JOB
: >ids
for way in show absolute oneliner login program update refused requeuehold absrequeue cancel steps chain hold plain; do
    sbatch --parsable -t 5 -J "$way" -o /dev/null job.sh $way >>ids
done
cat ids
flush
until [ "$(squeue -h -o '%j %t' | sort | tr '\n' ' ')" = "absrequeue PD requeuehold PD " ]; do again || break; done
squeue -h -o '%A %j %t %r' | sort >waiting
second=$(date +%s)
until [ "$(($(date +%s) - second))" -gt 1 ]; do again || break; done
for id in $(cut -d' ' -f1 waiting); do
    scontrol release "$id"
    scontrol update JobId="$id" StartTime=now
done
until [ -z "$(squeue -h -o %j)" ]; do again || break; done
