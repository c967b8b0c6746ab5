# shows: what only operators may do, by the ids that sbatch printed
# as operator
. "$TOOLS/lib.sh"
a=$(sbatch --parsable -J a -o /dev/null --wrap 'echo >begun.a; while [ ! -e end ]; do sleep 0.1; done')
b=$(sbatch --parsable -J b -o /dev/null --wrap 'echo >begun.b; while [ ! -e end ]; do sleep 0.1; done')
c=$(sbatch --parsable -J c -o /dev/null -a 1-3 --wrap 'echo >begun.$SLURM_ARRAY_TASK_ID; while [ ! -e end ]; do sleep 0.1; done')
d=$(sbatch --parsable -J d -o /dev/null --begin=now+1hour --wrap true)
e=$(sbatch --parsable -J e -o /dev/null --begin=now+1hour --wrap true)
f=$(sbatch --parsable -J f -o /dev/null -H --wrap true)
for id in $a $b $c $d $e $f; do echo "$id"; done
flush
for one in a b 1 2 3; do while [ ! -e begun.$one ]; do again || break; done; done
# The scheduler's reasons come when it looks.
show() { squeue -h -r -S i -o '%i %j %t %r' -j "$a,$b,$c,$d,$e,$f" | sed -E 's/ (None|BeginTime|Priority)$//'; }
try() { echo "== $*"; "$@" 2>&1; echo "= $?"; show; }
states() { [ "$(squeue -h -r -t "$1" -o x -j "$2" 2>/dev/null | wc -l)" = "$3" ]; }
{
    try scontrol suspend "$a"
    try scontrol suspend "${c}_2"
    try scontrol suspend "${c}_2"
    try scontrol suspend "$c"
    try scontrol resume "$c,$a"
    try scontrol resume "$b"
    try scontrol suspend "$d"
    try scontrol suspend "${c}_7"
    try scontrol top "$e"
    try scontrol top "$f"
    try scontrol update jobid="$d" priority=77
    try scontrol update jobid="$e" nice=-5
    try scontrol hold "$d"
    try scontrol uhold "$e"
    try scontrol release "$d,$e"
    try scontrol update jobid="$f" nosuch=1
    scontrol show job "$e" | grep -o ' Nice=[-0-9]*'
    scontrol show job "$d" | grep -o 'Priority=77 '
    scontrol requeuehold "$b" 2>&1
    until states PD "$b" 1; do again || break; done
    show
    scontrol requeue "${c}_3" 2>&1
    until states PD "$c" 1; do again || break; done
    squeue -h -r -S i -o '%i %j %t' -j "$c"
    scontrol requeuehold state=SpecialExit "$a" 2>&1
    until states SE "$a" 1; do again || break; done
    until ! states CG "$a" 1; do again || break; done
    show | grep " a "
} > operator.txt
touch end
scancel "$a" "$b" "$d" "$e" "$f"
scancel "$c"
