# shows: lists of ids as programs write them, jobs chosen and renamed by name
. "$TOOLS/lib.sh"
m=_$(printf %05d $(($$ % 100000)))_ # as wide in every run, since columns cut names
try() { { "$@" 2>&1; echo "= $?"; } | sed "s/$m//g"; }
look() { squeue -h -S i -r -j $all -o '%i %j %l %r %k' | sed "s/$m//; s/SarrayQueued/JobHeldUser/" | sort; }
a=$(sbatch --parsable -H -b now+1hour -J one$m -o /dev/null --wrap=true)
b=$(sbatch --parsable -H -b now+1hour -J two$m -o /dev/null -a 1-3 --wrap=true)
c=$(sbatch --parsable -H -b now+1hour -J three$m -o /dev/null --wrap=true)
d=$(sbatch --parsable -H -b now+1hour -J three$m -o /dev/null --wrap=true)
e=$(sbatch --parsable -H -b now+1hour -J five$m -o /dev/null --wrap=true)
all=$a,$b,$c,$d,$e
for id in $a $b $c $d $e; do echo "$id"; done
# Lists as programs write them, before the flush and after it.
for round in 1 2; do
    for jobs in "0$a" "+$a" " $a" "$a," ",$a" "$a, $c" "$a,,${b}_2" "$a ,$c" "$a $c" "0${b}_2, +$c"; do
        try squeue -h -S i -o '%i %t' -j "$jobs"
    done
    try scontrol show job "0$a" | grep -oE 'JobId=.*|^= .'
    try scontrol show job "+$a" | grep -oE 'JobId=.*|^= .'
    try scontrol show job " $a"
    try scancel "$a,"
    try scancel "$a, $c "
    try scancel "$c" "${b}_2" nosuch
    try scancel "$a $c"
    try scancel "$a" "-x"
    look
    flush
done > lists.txt
{
    try scontrol update "jobid=$a $c" timelimit=5
    try scontrol update "jobid=$a, ${b}_2" timelimit=6
    try scontrol release "$a  $c"
    try scontrol hold "$a $c,${b}_3"
    try scontrol requeue "$a $c"
    try scontrol update jobid=$a jobname=three$m
    look
    try scontrol update JobName=three$m comment=x
    try scontrol update comment=y JobName=two$m
    try scontrol update JobName=nosuch comment=y
    try scontrol update jobid $a comment=w
    look
    try scancel " $a, ${b}_1"
    try scancel "0$c"
    try scancel "+$e"
    look
} > changed.txt
scancel $all
