# shows: odd options among calls that know their id: --priority, --begin, --hold, mail, arrays, throttled ones, --nice, -Q
# ids: real
. "$TOOLS/lib.sh"
cat > job.sh <<'JOB'
#!/bin/bash
#SBATCH --output=slurm-%j.out
echo "$1 $SLURM_JOB_ID $SLURM_JOB_NAME ${SLURM_ARRAY_JOB_ID-} ${SLURM_ARRAY_TASK_ID-} ${SLURM_JOB_DEPENDENCY-none}"
squeue -h -j "$SLURM_JOB_ID" -o '%A %j %y %k %t'
scontrol show job "$SLURM_JOB_ID" | grep -o 'JobName=.*\|Requeue=.\|TimeLimit=00.*\|MailType=.*\|Command=.*\|Comment=.*'
JOB
cat > array.sh <<'JOB'
#!/bin/bash
echo "$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT ${SLURM_JOB_ID:+has an id}"
JOB
one=$(sbatch --parsable job.sh one)
two=$(sbatch --parsable -J two job.sh two)
priority=$(sbatch --parsable --priority=100 -J prio job.sh prio)
three=$(sbatch --parsable --comment="a comment" job.sh three)
array=$(sbatch --parsable -a 1-3 -o 'a-%a.out' -d "afterok:$two" array.sh)
throttled=$(sbatch --parsable -a 2-8:2%2 -o 't-%a.out' array.sh)
four=$(sbatch --parsable -d "afterok:${array}_2" job.sh four)
five=$(sbatch --parsable -d "afterok:$array:$one,afterany:$throttled" job.sh five)
sbatch -Q -J quiet -o quiet.out --wrap 'echo quiet'
six=$(sbatch --parsable -J "a b" --mail-type=NONE job.sh "six words")
begins=$(sbatch --parsable --begin=now+1 -d "afterok:$six" job.sh begins)
held=$(sbatch --parsable -H -J held -d "afterok:$one" job.sh held)
behind=$(sbatch --parsable -J behind -d "afterany:$held" job.sh behind)
job=$(sbatch job.sh stdin < job.sh)
last=$(sbatch --parsable -J last -d "${job##* }" job.sh last)
echo "$one $two $priority $three $array $throttled $four $five $six $begins $held $behind $job $last"
flush
until [ -s "slurm-$five.out" ] && [ -s "slurm-$begins.out" ] && [ -s "slurm-$last.out" ] && [ -s "slurm-$four.out" ] && [ -s quiet.out ]; do again || break; done
until [ "$(squeue -h -o %j | sort | tr '\n' ' ')" = "behind held " ]; do again || break; done
squeue -h -o '%A %j %t %r' | sort -n | sed "s/None/x/" >waiting
scontrol release "$held"
until [ -z "$(squeue -h -o %j)" ]; do again || break; done
ls slurm-*.out | wc -l
