# shows: jobs are held, shown, changed, cancelled, released and waited for by the ids that sbatch printed
. "$TOOLS/lib.sh"
lines() { tr -s ' ' | sed 's/^ //' | sort; }
gone() { while [ -n "$(squeue -h -j "$1" 2>/dev/null)" ]; do again || break; done; }
printf '#!/bin/sh\necho "$0" "$@" >/dev/null; echo ran "$@"\n' > job.sh
a=$(sbatch --parsable -H -J one -o one.%j.log --wrap='echo one')
b=$(sbatch --parsable -H -J two -o two.%A_%a.log -a 1-5:2 job.sh x y)
c=$(sbatch --parsable -H -J three -o three.%a.log -a 3-6%2 --wrap='echo three')
d=$(sbatch --parsable -H -J four -D /tmp -o "$PWD/four.log" --wrap='echo four')
e=$(sbatch --parsable -J five -o five.log -d "afterany:$a:$b" --wrap='echo five')
f=$(sbatch --parsable -H -J odd -o odd.%a.log -a 0-30:2,31,33,35,41-57,60,62,64,66,68,70,80,82,99 --wrap='echo $SLURM_ARRAY_TASK_ID')
for id in $a $b $c $d $e $f; do echo "$id"; done
flush
# A list of tasks is cut after so many bytes, and a ticket is longer than an id.
export SLURM_BITSTR_LEN=0
{
    squeue -n one,two,three,four,five
    squeue -l -n one,two,three,four,five | grep -v :..:
    squeue -r -h -j "$a,$b,$c" -o '%i %t'
    squeue -h -o '%i|%A|%F|%K|%j|%o|%Z|%T|%r|%E|%q|%8j|%.8j|'
    squeue -O JobID,JobArrayID:160,ArrayJobID,ArrayTaskID:90,Name:20,State,Reason:30
    squeue -h -j "${b}_3,${b}_5" -o '%i %t %r'
    squeue -h --job="$a" --format=%i
    squeue --noheader --name=two,four -o '%i|%T'
    squeue --me -h -t PENDING -o '%i %t'
    squeue -h -t R -o %i
    SQUEUE_FORMAT='%i' squeue -h -j $c
} 2>&1 | lines > shown.txt
for id in $a ${b}_3 $c $d $f; do
    scontrol show job $id | grep -oE '^(JobId|   Command|   WorkDir|   Std).*|(JobState|Reason|Dependency)=[^ ]*' | lines
    scontrol -o show job $id | wc -l
done > records.txt
scontrol show job $e | grep -oE 'Dependency=.*' | tr ',' '\n' | sed 's/Dependency=//' | sort > waits.txt
scontrol write batch_script $b - > script.txt
(umask 027; scontrol write batch_script $b written.sh; echo $?) > written.txt 2>&1
sed -i "s/job [0-9]*/job/" written.txt
scontrol hold ${b}_99 > errors.txt 2>&1; echo $? >> errors.txt
scontrol requeue $a >> errors.txt 2>&1; echo $? >> errors.txt
scancel ${a}x >> errors.txt 2>&1; echo $? >> errors.txt
scontrol update JobId=$d TimeLimit=7 Comment=mine
squeue -h -j $d -o '%l %k' > updated.txt
scancel $f
scancel ${b}_3
scancel --name=three --state=PENDING
squeue -h -o '%i %j %T' | lines > left.txt
scontrol release $a ${b}_1 $d
gone $a
gone $d
while [ -n "$(squeue -h -j ${b}_1 2>/dev/null)" ]; do again || break; done
squeue -h -o '%i %j %T' | lines > later.txt
scontrol release $b
gone $b
gone $e
cat one.$a.log two.${b}_1.log two.${b}_5.log five.log > logs.txt
scancel $a; echo $? > ended.txt
