# shows: verbs of scontrol, and steps in all commands, by the ids that sbatch printed
. "$TOOLS/lib.sh"
m=_$(printf %05d $(($$ % 100000)))_ # as wide in every run, since columns cut names
cat > steps.sh <<'S'
#!/bin/bash
srun -Q -n1 --overlap -J first sh -c "echo > begun.$1.$SLURM_ARRAY_TASK_ID.1; while [ ! -e go.$1 ]; do sleep 0.1; done" &
while [ ! -e begun.$1.$SLURM_ARRAY_TASK_ID.1 ]; do sleep 0.1; done
srun -Q -n1 --overlap -J second sh -c "echo > begun.$1.$SLURM_ARRAY_TASK_ID.2; while [ ! -e go.$1 ]; do sleep 0.1; done" &
wait
S
a=$(sbatch --parsable -J a$m -n2 -o /dev/null steps.sh a)
b=$(sbatch --parsable -J b$m -n2 -o /dev/null -a 3-4 steps.sh b)
c=$(sbatch --parsable -J c$m -n2 -o /dev/null steps.sh c)
d=$(sbatch --parsable -H -J d$m -o d.log --wrap='echo d')
e=$(sbatch --parsable -H -J e$m -o e.%a.log -a 1-3 --wrap='echo e')
f=$(sbatch --parsable -H -J f$m -o f.log --wrap='echo f')
g=$(sbatch --parsable -H -J g$m -o g.log -d "afternotok:$d,after:$f+7" --wrap='echo g')
for id in $a $b $c $d $e $f $g; do echo "$id"; done
flush
try() { { echo "== $*"; "$@" 2>&1; echo "= $?"; } | sed "s/$m//g"; }
steps() { # the order of arrays' elements is that of their raw ids
    echo "== $*"
    { "$@" 2>&1; echo "= $?"; } | sed -E 's/[0-9-]*T[0-9:]{8}/<time>/g; s/Pid=[a-z]*:[0-9]*/Pid=/; s/ +/ /g' | sort
}
while [ ! -e begun.c..2 -o ! -e begun.a..2 -o ! -e begun.b.3.2 -o ! -e begun.b.4.2 ]; do again || break; done
{
    steps squeue -h -s -o '%i %j'
    steps squeue -s -j "$a,${b}_4" -O StepID:30,ArrayJobID,ArrayTaskID,StepName,StepState,Nodes
    steps squeue -h -s "$a.0,${b}_3.1,$c.0" -o '%i %j %P %u %N'
    steps squeue -h --steps="$b.1" -o '%i %j'
    steps squeue -h -s "${b}_9.0" -o '%i %j'
    steps squeue -s "$b" -o '%i %j'
    steps squeue -s -O StepID:20,NoSuch,StepName -j "$c"
    steps squeue -s -j "$d" -o %i
    steps squeue -h -s -M all -o '%i'
    steps squeue -h -s -S -i -j "$a,$c" -o '%i'
    steps scontrol show step "$a.0"
    steps scontrol -o show step "${b}_3.1"
    steps scontrol show step "$a.9"
    steps scontrol show step "${b}_3.9"
    steps scontrol show step "${b}_7.0"
    steps scontrol show step "${b}_7"
    steps scontrol show step "${b}_4.1"
    steps scontrol show step "${b}_4.7"
    steps scontrol show step "${b}_4.batch"
    steps scontrol show step "${b}_3.batch"
    steps scontrol show step "$b.1"
    steps scontrol show step "$b.7"
    steps scontrol show step "$b.batch"
    steps scontrol show step "$a.batch"
    steps scontrol show step "$d"
    steps scontrol show step "$d.0"
    steps scontrol show step "$a,$c"
    steps scontrol show step "${b}_3,$c"
    steps scontrol show steps "$c"
    steps scontrol show step "$b"
    steps scontrol show step
    while [ "$(sacct -n -P -j "$a.0,${b}_3.batch,${b}_4.1" -o State | uniq -c | tr -d ' ')" != 3RUNNING ]; do again || break; done
    steps sacct -n -P -j "$a.0,${b}_3.batch,${b}_4.1" -o JobID,JobIDRaw,JobName,State
} > steps.txt
{
    try scontrol hold "$d,${e}_2"
    try scontrol uhold "${e}_1,$f"
    try scontrol holdu "$f"
    try scontrol release "$a"
    try scontrol notify "$a" hello "$b"
    try scontrol notify "${b}_3" hello
    try scontrol notify "${b}_7" hello
    try scontrol top "$d"
    try scontrol top "$d,$f"
    try scontrol top "$e"
    try scontrol suspend "$a"
    try scontrol suspend "${b}_3"
    try scontrol suspend "$a,$b"
    try scontrol resume "$b"
    try scontrol suspend "$d"
    try scontrol listpids "${b}_3"
    try scontrol completing
    try scontrol requeue "$d"
    try scontrol requeuehold "${e}_2"
    try scontrol requeue "$d,$f"
    try scontrol requeuehold "State=SpecialExit" "${e}_7"
    try scontrol update JobId="$d" Dependency="afterok:$a,afterany:${b}_3"
    try scontrol update "jobid=${e}_3" dependency="afterany:$b"
    try scontrol update job="$f" dependency=afterok:$d
    try scontrol update jobid="$f" timelimit=77 comment="a b" name=renamed
    try scontrol update jobid="$d,$f" timelimit=78
    try scontrol update jobid="${e}_[1-2]" timelimit=79
    try scontrol update jobid="$e" nosuch=1
    try scontrol update jobid="${e}_9" timelimit=1
    try squeue -h -j "$g" -o %E
    try scontrol update jobid="$g" dependency="afterany:$d:$f"
    try squeue -h -j "$g" -o %E
    try scontrol update jobid="$g" dependency="afternotok:$d,after:$f+9"
    try squeue -h -j "$g" -o %E
    try scontrol hold jobname=nosuch
    try scontrol release jobname=d$m
    try scontrol hold jobname=e$m
    try scontrol show job "$d,$f"
    try scontrol show job "${e}_9"
    try scontrol show job "${e}_[1-2]"
    try scontrol hold "${e}_[1-2]" "$d"
    try scontrol wait_job "$a"
    try scontrol frobnicate "$a"
    try scontrol release
    try scontrol release "${d}x"
    try scontrol -M all hold "$f"
    try scontrol write batch_script "${e}_2" -
    try scontrol write batch_script "$d" /nosuch/file
} > verbs.txt
squeue -h -j "$d,$e,$f,$g" -S i -o '%i %j %t %r %l %k %E' | sed "s/$m//" > changed.txt
for id in $d ${e}_3 $f $g; do scontrol -o show job $id | grep -oE 'JobState=[A-Z]* Reason=[^ ]*|Dependency=.* Requeue'; done > records.txt
touch go.a go.b go.c
while [ -n "$(squeue -h -j "$a,$b,$c" -o %i)" ]; do again || break; done
scancel "$d" "$e" "$f" "$g"
