# shows: --dependency=singleton among calls that share a name, of which some know their id
. "$TOOLS/lib.sh"
cat > job.sh <<'JOB'
#!/bin/bash
[ -z "$3" ] || ls ended."$SLURM_JOB_NAME".* >"seen.$1"
sleep "${2-0}"
echo "${SLURM_JOB_ID:+has an id}" >"ended.$SLURM_JOB_NAME.$1"
JOB
cat > other.sh <<'JOB'
#!/bin/bash
exec bash job.sh "$@"
JOB
# The first ones have jobs of their own, and are waited for as well.
a=$(sbatch --parsable -J one -o /dev/null job.sh a 1)
sbatch --parsable -J one -o /dev/null -d "afterok:$a" job.sh a2 1
b=$(sbatch --parsable -J one -o /dev/null -d singleton job.sh b 1 look)
c=$(sbatch --parsable -J one -o /dev/null -d "singleton,afterok:$b" job.sh c 0 look)
# An element of a pool is known by its call's name then.
for n in 1 2 3; do sbatch --parsable -J three -o /dev/null job.sh $n $((n % 2)); done
sbatch --parsable -J three -o /dev/null -d singleton job.sh z 0 look
# So it is for a singleton with a ticket, which waits for none that comes later: one may wait for it.
for n in 1 2 3; do sbatch --parsable -J four -o /dev/null job.sh $n 1; done
single=$(sbatch --parsable -J four -o /dev/null -d singleton other.sh single 0 look)
sbatch --parsable -J four -o /dev/null -d "afterok:$single" job.sh after 0 look
echo "$a $b $c $single"
flush
until [ -z "$(squeue -h -o %j)" ]; do again || break; done
