# shows: many chains of jobs that know their ids, each link of which waits for its own predecessor alone
. "$TOOLS/lib.sh"
cat > own.sh <<'END'
#!/bin/bash
#SBATCH --output=own-%j.out
echo "$1 $SLURM_JOB_ID ${SLURM_JOB_DEPENDENCY-none} after $4: $(cat "made.$4" 2>&1)"
sleep "${3-0}"
echo "$1" >"made.$1"
exit "${2-0}"
END
# The fourth chain is slow, the fifth fails at its first link, the sixth at its second; the seventh's end is cancelled.
for n in 1 2 3 4 5 6 7; do
    slow=0 first=0 second=0
    [ $n != 4 ] || slow=1
    [ $n != 7 ] || slow=4
    [ $n != 5 ] || first=1
    [ $n != 6 ] || second=1
    a=$(sbatch --parsable -J a$n own.sh a$n $first $slow)
    b=$(sbatch --parsable -d afterok:$a -J b$n own.sh b$n $second 0 a$n)
    c=$(sbatch --parsable -d afterok:$b -J c$n own.sh c$n 0 0 b$n)
    echo "$a $b $c"
    eval "a$n=$a b$n=$b c$n=$c"
done
scancel $c7
# Who else waits for one of them: twice the same, another kind of dependency, two at once, with a ticket.
twice=$(sbatch --parsable -d afterok:$a3 -J twice own.sh twice 0 0 a3)
again=$(sbatch --parsable -d AfterOk:$a3 -J again own.sh again 0 0 a3)
any=$(sbatch --parsable -d afterany:$a5 -J any own.sh any 0 0 a7)
both=$(sbatch --parsable -d afterok:$a1:$a2 -J both own.sh both 0 0 a2)
ends=$(sbatch --parsable -d afterok:$a6,afterany:$b6 -J ends own.sh ends 0 0 a6)
other=$(sbatch --parsable -d afterok:$a4 -J other -o other.out --wrap 'cat made.a4')
killed=$(sbatch --parsable -d afterok:$a5 --kill-on-invalid-dep=yes -J killed own.sh killed)
longer=$(sbatch --parsable -d afterok:$a4 -t 2 -J longer own.sh longer 0 0 a4)
echo "$twice $again $any $both $ends $other $killed $longer"
late=$(sbatch --parsable -d afterok:$c3 -J late own.sh late 0 0 c3)
echo "$late"
flush
until [ -s other.out ] && [ -e made.late ] && [ -e made.c4 ] && [ -e made.b7 ] && [ -e made.both ] && [ -e made.longer ] &&
    [ -e made.again ] && [ -e made.any ] && [ -e made.ends ]; do again || break; done
until [ "$(squeue -h -o '%r' | sort | uniq -c | tr -d ' \n')" = 1Dependency2DependencyNeverSatisfied ]; do again || break; done
squeue -h -o '%j %i %r %E' | sort >left
for one in $b5 $c5 $c6; do scontrol show job $one | grep -o 'Dependency=.*'; done >shown
sacct -n -X -P -o JobIDRaw,State -j "$c1,$c7,$killed" | sort >accounted
scancel $b5 $c5 $c6
