# shows: srun and salloc that wait for tickets, or go into the job of one
# shows: -d and --jobid of srun and salloc with ids that sbatch told
cat > job.sh <<'JOB'
#!/bin/bash
while [ ! -e "$PWD/go" ]; do sleep 0.1; done
echo "$1" > "ran.$1"
JOB
printf '#!/bin/bash\n[ "$1" != fails ]\n' > quick.sh
a=$(sbatch --parsable -o /dev/null quick.sh)
b=$(sbatch --parsable -o /dev/null quick.sh fails)
c=$(sbatch --parsable -o /dev/null -a 1-2 quick.sh)
timeout 60 srun -Q -d "afterok:$a" bash -c 'echo "srun $0 $*"; cat; exit 3' -d "afterok:$a" < quick.sh
echo "$?"
timeout 60 srun -Q -n1 --depend "afterany:$a:$b,afterok:$c" -- echo both
echo "$?"
timeout 60 salloc -Q "--dependency=afternotok:$b?afterok:$c" echo allocated
echo "$?"
timeout 60 salloc -Q -Jx -dafterok:${a}_7:x true 2>&1 | sed 's/[0-9]\{4,\}/N/g'
d=$(sbatch --parsable -o /dev/null job.sh d)
e=$(sbatch --parsable -o /dev/null job.sh e)
for _ in {1..100}; do
    [ -z "$(timeout 10 srun --jobid="$d" --overlap -Q sh -c 'echo in' 2>/dev/null)" ] || break
    sleep 0.2
done
timeout 10 srun --jobid="$d" --overlap -Q sh -c 'echo "$0 in the job"'
echo "$?"
touch go
