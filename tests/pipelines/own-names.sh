# shows: --dependency=singleton among calls that know their id and share a name
# ids: real
. "$TOOLS/lib.sh"
cat > job.sh <<'JOB'
#!/bin/bash
echo "start $1 $SLURM_JOB_ID" >>"log.$SLURM_JOB_NAME"
sleep "${2-0}"
echo "end $1" >>"log.$SLURM_JOB_NAME"
JOB
a=$(sbatch --parsable -J one -o /dev/null job.sh a 1)
other=$(sbatch --parsable -J two -o /dev/null job.sh other)
b=$(sbatch --parsable -J one -o /dev/null -d singleton job.sh b 1)
c=$(sbatch --parsable -J one -o /dev/null -d singleton job.sh c)
d=$(sbatch --parsable -J two -o /dev/null -d "singleton,afterok:$a" job.sh d)
echo "$a $other $b $c $d"
flush
until [ -z "$(squeue -h -o %j)" ]; do again || break; done
