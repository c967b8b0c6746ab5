# shows: calls that are cancelled while they wait stay listed, and what waits for their success never starts
. "$TOOLS/lib.sh"
m=_$(printf %05d $(($$ % 100000)))_ # as wide in every run, since columns cut names
states() { squeue -h -t all -S i -j "$1" -o '%i %A %j %T %r' | sed "s/$m//"; }
known() { # STATE NUMBER IDS: accounting lags behind
    until [ "$(sacct -n -X -P -j "$(IFS=,; echo "${*:3}")" -o State | grep -c "$1")" = "$2" ]; do again || break; done
}
accounted() { sacct -n -X -P -j "$1" -o JobID,JobName,State,ExitCode | sed "s/$m//; s/ by [0-9]*//"; }
# One by one, by name, by a filter, in a list; and of an array only some.
for i in 1 2 3 4 5 6 7 8; do a[i]=$(sbatch --parsable -H -J one$m$i -o /dev/null --wrap="touch ran.$i"); done
b=$(sbatch --parsable -H -J two$m -o /dev/null -a 1-4 --wrap='touch ran.b.$SLURM_ARRAY_TASK_ID')
for id in "${a[@]}" $b; do echo "$id"; done
flush
known PENDING 9 "${a[@]}" $b
for i in 1 2 3 4 5 6 7 8; do
    ok[i]=$(sbatch --parsable -o /dev/null -d "afterok:${a[i]}" --wrap="touch after.$i")
    any[i]=$(sbatch --parsable -o /dev/null -d "afterany:${a[i]}" --wrap="touch end.$i")
    not[i]=$(sbatch --parsable -o /dev/null -d "afternotok:${a[i]}" --wrap="touch fail.$i")
done
for id in "${ok[@]}" "${any[@]}" "${not[@]}"; do echo "$id"; done
flush
scancel ${a[1]}
scancel -n one${m}2
scancel -t PENDING ${a[3]}
scancel -Q ${a[4]} ${a[5]} ${b}_2
squeue -h -j ${a[1]} -o %T
scancel -s KILL ${a[6]}
for i in 1 2 3 4 5 6 7; do states ${a[i]}; done > states.txt
states $b | grep -v ' CANCELLED' > array.txt
scontrol show job ${a[1]} | grep -oE '^JobId=.*|JobState=.*' | sed "s/$m//" > record.txt
scontrol release ${a[7]} ${a[8]}
for i in 1 2 3 4 5 6 7 8; do
    until [ -e end.$i ]; do again || break; done
done
for i in 1 2 3 4 5 6; do
    until [ -e fail.$i ] && [ "$(squeue -h -j ${ok[i]} -o %r)" = DependencyNeverSatisfied ]; do again || break; done
done
for i in 7 8; do
    until [ -e after.$i ] && [ "$(squeue -h -j ${not[i]} -o %r)" = DependencyNeverSatisfied ]; do again || break; done
done
squeue -h -S i -o '%i %T %r %E' | sed "s/$m//" > left.txt
known CANCELLED 6 "${a[@]}"
for i in 1 2 3 4 5 6; do accounted ${a[i]}; done > accounted.txt
scancel "${ok[@]}" "${not[@]}" $b
for i in 1 2 3 4 5 6; do states ${ok[i]}; done > later.txt
# All of an array, and all that there is.
c=$(sbatch --parsable -H -J three$m -o /dev/null -a 1-3 --wrap=true)
d=$(sbatch --parsable -H -J four$m -o /dev/null --wrap=true)
e=$(sbatch --parsable -H -J five$m -o /dev/null --wrap=true)
echo $c $d $e
flush
known PENDING 3 $c $d $e
scancel $c $d $e
for id in $c $d $e; do
    states $id
    scontrol show job $id | grep -oE '^JobId=.*|JobState=.*' | sed "s/$m//"
done > whole.txt
known CANCELLED 3 $c $d $e
for id in $c $d $e; do accounted $id; done > whole.accounted.txt
