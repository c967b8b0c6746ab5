# shows: sstat, sattach, sbcast, sprio and strigger are asked about jobs that wait and jobs that run
. "$TOOLS/lib.sh"
cat > job.sh <<'JOB'
#!/bin/bash
srun -Q sleep 300 &
touch "ready.$1"
wait
JOB
one=$(sbatch --parsable -o /dev/null job.sh 1)
two=$(sbatch --parsable -o /dev/null job.sh 2)
many=$(sbatch --parsable -o /dev/null -a 1-2 job.sh many)
later=$(sbatch --parsable -o /dev/null --hold --wrap true)
ask() { # COMMAND...: what it says, and its exit status
    echo "== $*"
    "$@" 2>&1 | sed 's/  */ /g; s/^ //; s/ $//' # columns are as wide as ids are long
    echo "status ${PIPESTATUS[0]}"
}
{
    ask sstat -j "$later"
    ask sstat -n -P -o JobID,NTasks -j "$later"
    ask sattach "$later.0"
    ask sbcast -j "$later" /etc/hosts "$PWD/copy"
    ask sstat -nj 2111111111 -o JobID
    ask sattach --layout 2111111111.0
} >waiting 2>&1
flush
for id in "$one" "$two" "${many}_1" "${many}_2"; do
    until [ "$(squeue -h -s -j "$id" -o %i 2>/dev/null | grep -c '\.0$')" = 1 ]; do again || break; done
done
until [ "$(sstat -anP -o JobID -j "$one,$two" 2>/dev/null | wc -l)" -ge 4 ]; do again || break; done
{
    ask sstat -a -o JobID%24,NTasks -j "$one"
    ask sstat -a -P -o NTasks,JobID -j "$one,$two"
    ask sstat -anp -o JobID "--jobs=$two.batch"
    ask sstat -no JobID%-30 -j "$two.0"
    ask sattach --layout "$one.0"
    ask sbcast -j "$two" -f job.sh "$PWD/copied"
    ask sbcast -j "$later" /etc/hosts "$PWD/copy"
    ask sstat -n -j "$later"
} >running 2>&1
sstat -anP -o NTasks -j "$many" >of-an-array 2>&1
ls
echo "$one $two $many $later"
scancel "$one" "$two" "$many" "$later"
ask sprio -h -j "$later" >ended 2>&1
