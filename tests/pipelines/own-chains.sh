# shows: chains, diamonds and fan-in of calls that know their id, of calls that do not, and of both
# not at a site: there are no pools beside a TaskProlog, and SLURM_JOB_DEPENDENCY has the real ids of tickets
. "$TOOLS/lib.sh"
cat > own.sh <<'JOB'
#!/bin/bash
#SBATCH --output=own-%j.out
echo "$1 $SLURM_JOB_ID ${SLURM_JOB_DEPENDENCY-none} after $4: $(for one in $4; do cat "made.$one"; done 2>&1)"
sleep "${3-0}"
echo "$1" >"made.$1"
exit "${2-0}"
JOB
cat > other.sh <<'JOB'
#!/bin/bash
#SBATCH --output=/dev/null
for one in $4; do cat "made.$one"; done >"seen.$1" 2>&1
sleep "${3-0}"
echo "$1" >"made.$1"
exit "${2-0}"
JOB
# A chain of three, twice; its last but one fails in the second.
for n in 1 2; do
    a=$(sbatch --parsable -J a$n own.sh a$n 0 .3)
    b=$(sbatch --parsable -d afterok:$a -J b$n own.sh b$n $((n - 1)) 0 a$n)
    c=$(sbatch --parsable -d afterok:$b -J c$n own.sh c$n 0 0 b$n)
    d=$(sbatch --parsable -d afternotok:$b -J d$n own.sh d$n 0 0 b$n)
    echo "$a $b $c $d"
    scancel_later="$c $d ${scancel_later-}"
done
# A diamond whose left side has a ticket.
a=$(sbatch --parsable -J top other.sh top 0 .3)
left=$(sbatch --parsable -d afterok:$a -J left other.sh left 0 .2 top)
right=$(sbatch --parsable -d afterok:$a -J right own.sh right 0 0 top)
end=$(sbatch --parsable -d "afterok:$left:$right" -J end own.sh end 0 0 "top left right")
far=$(sbatch --parsable -d "afterany:$end,afterok:$right" -J far other.sh far 0 0 end)
# One of several, where one fails; and an array's tasks, of which one fails.
bad=$(sbatch --parsable -J bad other.sh bad 1)
any=$(sbatch --parsable -d "afterok:$bad?afterok:$left" -J any own.sh any 0 0 left)
many=$(sbatch --parsable -J many -a 1-3 -o /dev/null --wrap '[ $SLURM_ARRAY_TASK_ID != 2 ]')
one=$(sbatch --parsable -d "afterok:${many}_1" -J one own.sh one)
none=$(sbatch --parsable -d "afternotok:$many" -J none own.sh none)
later=$(sbatch --parsable -J later -a 1-2%1 -d "afterany:$one:$none" -o 'later-%a.out' --wrap 'cat made.one made.none')
echo "$a $left $right $end $far $bad $any $many $one $none $later"
flush
until [ -s later-2.out ] && [ -e made.far ] && [ -e made.d2 ] && [ -e made.c1 ] && [ -e made.any ]; do again || break; done
until [ "$(squeue -h -o '%r' | sort -u)" = DependencyNeverSatisfied ]; do again || break; done
squeue -h -o '%j %i %r %E' | sort >left
sacct -n -X -P -o JobIDRaw,State -j "$end" >accounted
scancel $scancel_later
