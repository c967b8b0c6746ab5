# shows: diamonds and fan-in among calls that know their id: of one pool, of two, of pools and tickets, with one that fails
. "$TOOLS/lib.sh"
cat > own.sh <<'JOB'
#!/bin/bash
#SBATCH -o /dev/null
: "$SLURM_JOB_ID"
for one in $3; do ls "made.$one"; done >"seen.$1" 2>&1
echo "$SLURM_JOB_ID" >"made.$1"
exit "$2"
JOB
sed '/SLURM_JOB_ID"$/d; s/"$SLURM_JOB_ID"/an id/' own.sh >other.sh
for n in 1 2 3; do
    top=$(sbatch --parsable -J top$n own.sh top$n 0)
    left=$(sbatch --parsable -J left$n -d afterok:$top own.sh left$n $((n == 3)) top$n)
    right=$(sbatch --parsable -J right$n -d afterok:$top own.sh right$n 0 top$n)
    ticket=$(sbatch --parsable -J ticket$n -d afterok:$top other.sh ticket$n 0 top$n)
    end=$(sbatch --parsable -J end$n -d afterok:$left:$right own.sh end$n 0 "left$n right$n")
    both=$(sbatch --parsable -J both$n -d "afterany:$left,afterok:$ticket" own.sh both$n 0 "left$n ticket$n")
    last=$(sbatch --parsable -J last$n -d "afterok:$both,afterok:$right" other.sh last$n 0 "both$n right$n")
    echo "$top $left $right $ticket $end $both $last"
    tops="${tops-}:$top" lasts="${lasts-}:$last" boths="${boths-}:$both"
done
sbatch --parsable -J all -d "afterok$tops$lasts" own.sh all 0 "top1 top2 top3 last1 last2 last3"
sbatch --parsable -J any -d "afterany$boths$lasts" -a 1-2 -o 'any-%a' --wrap 'ls made.both* made.last*'
sbatch --parsable -J one -d "afternotok:$left?afterok:$end" own.sh one 0 ""
flush
until [ "$(squeue -h -o %r | sort -u)" = DependencyNeverSatisfied ]; do again || break; done
squeue -h -o '%A %j' >left
scancel "$end"
