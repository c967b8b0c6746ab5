# shows: odd invocations of squeue, scontrol and scancel, wrong ones too
. "$TOOLS/lib.sh"
m=_$(printf %05d $(($$ % 100000)))_ # as wide in every run, since columns cut names
a=$(sbatch --parsable -H -J a$m -o /dev/null -t 60 --wrap='echo a')
b=$(sbatch --parsable -H -J b$m -o /dev/null -t 60 -a 1-6:2%2 --wrap='echo b')
c=$(sbatch --parsable -H -J c$m -o /dev/null -t 60 -a 0 --wrap='echo b')
d=$(sbatch --parsable -J d$m -o /dev/null -t 60 -a 3-4 --wrap='sleep 600')
e=$(sbatch --parsable -J e$m -o /dev/null -t 60 --wrap='sleep 600')
r=$(sbatch --parsable -J r$m -o /dev/null -t 60 --wrap='true')
x=$(sbatch --parsable -J x$m -o /dev/null -p other -d afternotok:$e --wrap='true')
for id in $a $b $c $d $e $r $x; do echo "$id"; done
flush
export SLURM_BITSTR_LEN=0
try() { echo "== $*" | sed "s/$m//g"; { "$@" 2>&1; echo "= $?"; } | sed "s/$m//g" | tr -s ' ' | sed 's/^ //;s/T[0-9][0-9]:[0-9:]*/T<time>/g;s/ [0-9]:[0-9][0-9] / <t> /;s/^[A-Z][a-z][a-z] .* 20[0-9][0-9]$/<date>/' | sort; }
until [ "$(squeue -h -t R -j $d,$e -o %i | wc -l)" = 3 -a -z "$(squeue -h -j $r -t PD,R,CG -o %i)" ]; do again || break; done
all=$a,$b,$c,$d,$e,$r,$x
{
try squeue -j "$a $b"
try squeue -j "$a" "$b"
try squeue -j "$all" -t all -h -o '%i %F %K %t %T %r'
try squeue -h -j "$r"
try squeue -h -j "$r" -t CD
try squeue -h -j "$r,$e" -t completed,running
try squeue -h -t R,PD,CD -j ${b}_3,${d}_3,$r -o %i
try squeue -h -j ${b}_9 
try squeue -h -j ${a}_1
try squeue -h -j ${c} -o '%i %K %F'
try squeue --jobs="$a" --noheader --Format="JobArrayID,StateCompact,Reason,TimeLimit:.10"
try squeue -ho%i -j$a,$d
try squeue -h -j "$a,$d" -S '-t,i' -o '%t %i'
try squeue -h -j "$a,$b,$c" -S -i -o '%i'
try squeue -h -j "$all" -p other -o %i
try squeue -h -j "$all" -n b$m,c$m -o '%i %j'
try squeue -h -n "r$m" -o %i
try squeue -h -n "nosuch" -o %i
try env SQUEUE_NAMES=a$m,d$m squeue -h -o '%i %j'
try env SQUEUE_STATES=R squeue -h -j $all -o '%i'
try env SQUEUE_FORMAT='%i %j' squeue -h -j $all
try env SQUEUE_FORMAT2='jobid,arrayjobid' squeue -h -j $a,$c
try env SQUEUE_SORT='-i' squeue -h -j $a,$c -o %i
try env SQUEUE_ARRAY=1 squeue -h -j $b -o %i
try squeue -l -j $a
try squeue --start -j $a
try squeue -h -o '%i %E' -j $x
try squeue -j 999999999
try squeue -j 999999999,$a -h -o %i
try squeue -j $a,$a -h -o %i
try squeue -j ",$a" -h -o %i
try squeue -j "$a," -h -o %i
try squeue -j "" -h -n "a$m" -o %i
try squeue -j x$a -h
try squeue -j ${a}x -h
try squeue -j ${b}_x -h
try squeue -j ${b}_ -h
try squeue -j ${a}.0 -h -o %i
try squeue -j $a -w vm -h
try squeue -j $d,$e -w vm -h -o %i
try squeue --me -h -j $a -o %i
try squeue -u nobody -h -j $a -o %i
try squeue -u nosuchuser -h
try squeue -t bogus
try squeue -j $a -o '%i' -O jobid
try squeue -j $a -l -o '%i'
try squeue -j $a -h -o 'x'
try squeue -j $a -h -o ''
try squeue -j $a -h -o '%% %i %%'
try squeue --only-job-state -j $a
try squeue --noh -j $a -o %i
try squeue --form=%i -j $a -h
try squeue --stat=PD -j $a -h -o %i
try squeue -a -h -j $a -o %i
try squeue -j $a -h -i x
try squeue --helpme
} > squeue.txt
{
try scontrol show job $r
} | grep -E '^==|^= |JobId=|JobState' > records.txt
{
for w in $a $b ${b}_3 ${b}_9 $d ${d}_3 ${d}_9 $r ${a}_1 999999999 ${a}x $x; do
    try scontrol show job $w
    try scontrol -o show job $w
    try scontrol show job=$w
    try scontrol show jobid $w
    try scontrol show jobid=$w
    try scontrol -d show job $w
    try scontrol -Q show job $w
done
} | grep -vE 'AllocNode|SubmitTime|StartTime|AccrueTime|EligibleTime|LastSched|RunTime|^$' | sed -E 's/^JobId=[0-9]* Array/Array/; s/CPU_IDs=[0-9-]*//; s/[A-Za-z:]*Time=[^ ]*//g; s/(AllocNode:Sid|Priority|LastSchedEval|Scheduler)=[^ ]*//g; s/ +/ /g' > shows.txt
{
try scancel
try scancel abc
try scancel ${b}_9
try scancel -v ${b}_9
try scancel ${b}_x
try scancel ${a}.0
try scancel ${a}.batch
try scancel -s 0 $a
try scancel -s CONT $e
try scancel -s BOGUS $e
try scancel -t RUNNING $a
try scancel -t PENDING $e
try scancel -t PD ${d}_3
try scancel -t bogus $e
try scancel -t S $e
try scancel -n nosuch $a
try scancel -n a$m $b
try scancel -u nobody $a
try scancel -u nosuchuser $a
try scancel -u "" $a
try env SCANCEL_USER=nosuchuser scancel $a
try scancel -u shimtester -n nosuch
try scancel -p other $a
try scancel $r
try scancel -v $r
try scancel -t PENDING $r
try scancel -Q $r
try scancel --nosuch $a
try env SCANCEL_STATE=RUNNING scancel $a
try env SCANCEL_NAME=nosuch scancel $a
try env SCANCEL_USER=nobody scancel $a
try env SCANCEL_STATE=RUNNING scancel ${b}_1
try squeue -h -j $all -o '%i %t'
try squeue -h -j $all -o '%i %t'
try scancel "${b}_[1,5]"
try squeue -h -j $all -o '%i %t'
try scancel -n c$m
try scancel "$a $d"
try scancel $a $d
} > scancel.txt
until [ -z "$(squeue -h -j $d,$a -o %i)" ]; do again || break; done
squeue -h -j $all -o '%i %t' > left.txt
scancel -n e$m,x$m -t R
scancel -n e$m -t R
until [ -z "$(squeue -h -j $e,$x -o %i)" ]; do again || break; done
# %F: an array call that was cancelled among others is listed task by task, and directly by a filter without tasks.
squeue -h -j $all -t all -S i -o '%F %t' > left2.txt
scancel $a $b $c $d $e $r $x
