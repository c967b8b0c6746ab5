# shows: chains that share arrays, looked at and changed while they wait, run and end
. "$TOOLS/lib.sh"
waits() { echo "while [ ! -e go.$1 ]; do sleep 0.1; done"; }
n=15
for i in $(seq 1 $n); do
    a[i]=$(sbatch --parsable -J align.$i -t 90 -o /dev/null --wrap "$(waits a.$i)")
    b[i]=$(sbatch --parsable -J call.$i -o /dev/null -t 1-2 -d afterok:${a[i]} --wrap "$(waits b.$i)")
    c[i]=$(sbatch --parsable -J report.$i -o log.c.$i -t 60 -d afterok:${b[i]} --wrap "echo report $i")
done
d=$(sbatch --parsable -J map -o log.map.%a -t 5 --mem 20 -a 2-6:2 --wrap "$(waits 'map.$SLURM_ARRAY_TASK_ID')")
for i in $(seq 1 $n); do echo "${a[i]} ${b[i]} ${c[i]}"; done
echo "$d"
ids=$(IFS=,; echo "${a[*]},${b[*]},${c[*]},$d")
look() { squeue -h -j "$ids" "$@" 2>&1 | tr -s ' ' | sort; }
until_shown() { # NAME TEXT ID: a line of squeue
    until [ "$(squeue -h -j "$3" -t all -o "$1" 2>/dev/null)" = "$2" ]; do again || break; done
}
{ look -t PD -o '%i %t %l %j %E' | grep -vE 'align|map'; for i in 2 9; do scontrol show job ${b[i]} | grep -o 'Dependency=.*'; done; } > shown.queued
[ -z "${SARRAY_MODE-}" ] || look -o '%i %t' >/dev/null
flush
until [ "$(look -o '%t %r' | uniq -c | tr -s ' \n' ' ')" = " 30 PD Dependency 18 R None " ]; do again || break; done
look -o '%i|%A|%F|%K|%j|%t|%r|%E|%l|%o|' > shown.waiting
look -r -o '%i %t' > shown.apart
look -O JobID,JobArrayID,ArrayTaskID,Name,Dependency:60 > shown.long
for i in 1 8 15; do
    scontrol show job ${b[i]} | grep -oE '^(JobId|   Command|   Std).*|(JobState|Reason|Dependency)=[^ ]*'
done > shown.records
scontrol hold ${b[4]}
scontrol update JobId=${c[5]} TimeLimit=7
{ look -o '%i %l'; squeue -h -j ${b[4]} -o %r; } > shown.changed
touch go.a.{3,4}
until_shown %t R ${b[3]}
until_shown %r JobHeldUser ${b[4]}
until_shown %E '(null)' ${b[4]} # Slurm looks some seconds later at what a held job waits for
look -o '%i %t %E' > shown.running
scontrol release ${b[4]}
until_shown %t R ${b[4]}
scancel ${b[7]}
scancel ${a[9]}
until_shown %r DependencyNeverSatisfied ${c[7]}
until_shown %r DependencyNeverSatisfied ${b[9]}
while look -o '%t %r' | grep -q 'PD None'; do again || break; done # the scheduler has not looked since a change
look -o '%i %t %r %E' > shown.cancelled
scancel ${c[7]} ${b[9]} ${c[9]}
touch $(seq -f go.a.%g 1 $n) $(seq -f go.b.%g 1 $n) go.map.{2,4,6}
until [ -z "$(look)" ]; do again || break; done
look -t all -o '%i %j %T' > shown.ended
