# shows: what sacct tells of calls that wait, of chains that share arrays lane by lane, of what failed
. "$TOOLS/lib.sh"
m=_$(printf %05d $(($$ % 100000)))_ # as wide in every run, since columns cut names
n=4
for i in $(seq 1 $n); do
    a[i]=$(sbatch --parsable -H -J align$m$i -o /dev/null --wrap "exit $((i == 2))")
    b[i]=$(sbatch --parsable -J call$m$i -o /dev/null -d afterok:${a[i]} --wrap 'srun -Q -n1 true; exit 0')
    c[i]=$(sbatch --parsable -J report$m -o /dev/null -d afterok:${b[i]} -a 3-4 --wrap 'exit $((SLURM_ARRAY_TASK_ID - 3))')
done
d=$(sbatch --parsable -H -J map$m -o /dev/null -t 5 -a 2-6:2 --wrap 'exit $((SLURM_ARRAY_TASK_ID == 4 ? 7 : 0))')
e=$(sbatch --parsable -J drop$m -o /dev/null --begin=now+1hour --wrap true)
for i in $(seq 1 $n); do echo "${a[i]} ${b[i]} ${c[i]}"; done
echo "$d $e"
ids=$(IFS=,; echo "${a[*]},${b[*]},${c[*]},$d,$e")
form=JobID,JobName%30,State,ExitCode
look() { sacct "$@" 2>&1 | sed "s/$m//; s/CANCELLED by [0-9]*/CANCELLED/" | tr -s ' ' | sort; }
known() { # NUMBER: accounting lags behind; until it lists as many rows
    until [ "$(sacct -n -X -P -j "$ids" -o JobID | wc -l)" = "$1" ]; do again || break; done
}
document() { # what programs read of sacct --json, and the shape of a job
    sacct --json "$@" | python3 -c '
import json, sys
def number(value): # newer versions tell apart what is not set
    return value["number"] if isinstance(value, dict) else value
for job in sorted(json.load(sys.stdin)["jobs"], key=lambda job: (job["name"], job["array"]["job_id"], number(job["array"]["task_id"]) or 0)):
    task = job["array"]["task"]
    if task:
        task = bin(int(task, 16))
    steps = [(step["step"]["name"], step["step"]["id"]) for step in job["steps"]]
    print(job["job_id"], job["array"]["job_id"], job["array"]["task_id"], task, job["name"], job["state"]["current"])
    print(sorted(job), sorted(job["time"]), steps, job["exit_code"]["return_code"], job["cluster"])
' | sed "s/$m//"
}
[ -n "${SARRAY_MODE-}" ] || known 14
{
    look -P -X -j "$ids" -o $form,ExitCode
    look -P -X -j "$ids" -o JobID,Partition,Group,GID,Cluster,Timelimit,TimelimitRaw,AllocCPUS,ReqCPUS,ReqNodes,NNodes,AllocNodes,NodeList
    look -P -X -j "$ids" -o JobID,Elapsed,ElapsedRaw,CPUTime,CPUTimeRAW,Suspended,TotalCPU,UserCPU,SystemCPU,ConsumedEnergy,Start,End,DerivedExitCode
} > waiting.queued
document -j "$ids" > waiting.json
flush
known 14
{
    look -P -X -j "$ids" -o $form,Partition,User,Timelimit,ReqCPUS
    look -P -X -j "$d,${c[1]}" -o JobID,JobIDRaw,State
    look -n -P -X -s PD -j "$ids" -o JobID
    look -P -X --name "align${m}3,map$m" -o $form
    look -P -X -j "${d}_2" -o $form
    look -X -j "${a[1]}" -o JobID%15,JobName%6,State,ExitCode
    look -X -P --delimiter=: -j "$e" -o jobname%3,state
} > waiting.flushed
document -j "$ids" > flushed.json
scancel "$e"
for i in $(seq 1 $n); do scontrol release ${a[i]}; done
scontrol release $d
until [ "$(squeue -h -j "$ids" -S i -o %F | tr '\n' ' ')" = "${b[2]} ${c[2]} " ]; do again || break; done
scancel ${b[2]} ${c[2]}
until [ "$(sacct -n -X -P -j "$ids" -o End | grep -vc Unknown)" = 19 ]; do again || break; done
{
    look -P -j "$ids" -o $form
    look -P -X -j "$ids" -s F -o $form
    look -P -X -j "$ids" -s CD -E now -o JobID
    look -P -X -j "$ids" -s CA -o $form
    look -P -j "${d}_4,${b[1]},${c[3]}_4" -o $form,Partition,AllocCPUS
    look -P -j "${b[3]}.batch,${b[4]}.0,${d}_2.batch" -o $form
    look -p -X -j "${a[2]}" -j "$d" -o JobID,State
    look -b -P -j "${c[1]}"
    look -X -P --name "call${m}1,report$m" -S now-1hours -E now -o JobID,State
    look -P -j "$ids" --name "call${m}1,map$m" -o $form
    look -P -j "${b[1]}.batch,${b[2]}.batch" --name "call${m}1" -o $form
    look -X -P --name nosuch -o JobID
    look -X -P -j "${d}_9" -o JobID
    look -n -X -P -j "${d}.7" -o JobID
    look -n -P -j "${a[1]}.7" -o JobID
    look -n -X -P -j "0${a[1]} ,${a[2]} ${a[3]},${d}_2" -o JobID
    look -n -P -j "${d}.batch,${a[1]}.batch" -o JobID
    sacct -P -j "${a[1]},${a[2]}" -o state,exitcode
} > ended
document -j "$ids" > ended.json
