# shows: scripts use the id that they see, and others use the id that sbatch told
. "$TOOLS/lib.sh"
cat > job.sh <<'JOB'
#!/bin/bash
#SBATCH --output=slurm-%j.out
echo "job $1 $SLURM_JOB_ID $SLURM_JOBID ${SLURM_ARRAY_JOB_ID-} ${SLURM_ARRAY_TASK_ID-}"
mkdir -p "results/$SLURM_JOB_ID"
echo "$1" >"results/$SLURM_JOB_ID/value"
"s${EMPTY-}control" show job "$SLURM_JOB_ID" | grep -o 'JobId=.*\|JobName=.*\|JobState=[A-Z]*\|Command=.*\|StdOut=.*\|WorkDir=.*'
squeue -h -j "$SLURM_JOB_ID" -o '%i %A %F %K %j %t'
srun -Q -n1 -o "step-%j.out" sh -c 'echo "step of $SLURM_JOB_ID"'
mkdir -p logs
mv "slurm-$SLURM_JOB_ID.out" logs/
JOB
for i in 1 2 3; do
    id=$(sbatch --parsable job.sh $i)
    echo "told $id"
    echo "$id" >>told
done
# Eleven more: the pool grows twice.
for i in 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26; do
    echo "told $(sbatch --parsable -o /dev/null -J "n$i" --wrap "echo $i \$SLURM_JOB_ID > own.$i")"
done
for id in $(cat told); do
    sbatch -d afterok:"$id" -o collected."$id" --wrap "cat results/$id/value logs/slurm-$id.out"
done
