# shows: documents and log columns of squeue and scontrol
# not at a site: a call that is not yet submitted has no default account
# Our jobs, without times and what the scheduler has looked at; an option that this Slurm does not have is an error.
. "$TOOLS/lib.sh"
jobs() {
    python3 -c '
import json, re, sys
text = sys.stdin.read()
if not text.startswith("{"):
    sys.exit(print(text))
document = json.loads(text)
print(sorted(document), document["errors"], document.get("warnings"), document["meta"].get("command"))
def number(value):
    return value["number"] if isinstance(value, dict) else value
ours = [job for job in document["jobs"] if {str(job["job_id"]), str(number(job["array_job_id"]))} & set(sys.argv)]
for job in sorted(ours, key=lambda job: (job["name"], number(job["array_task_id"]) or 0)):
    for name, value in job.items():
        if name == "flags":
            value = [flag for flag in value if flag not in ("BACKFILL_ATTEMPTED", "DEPENDENT")]
        moves = re.search("time|evaluation|priority", name) and name != "time_limit"
        print(job["job_id"], name, "" if moves else json.dumps(value))
' $ids
}
# What a program may look for in a job that waits, and what does not depend on where it waits.
shapes() {
    python3 -c '
import json, sys
text = sys.stdin.read()
if not text.startswith("{"):
    sys.exit(print(text))
def shape(value):
    if isinstance(value, dict) and not set(value) - {"set", "infinite", "number"}:
        return sorted(value)
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return "text" if value is None or isinstance(value, str) else type(value).__name__
STABLE = """account array array_job_id array_max_tasks array_task_id array_task_string comment constraints cpus
    current_working_directory excluded_nodes exit_code features group group_id group_name hold job_id job_state licenses name nice node_count partition
    required_nodes requeue resv_name state steps tasks time_limit user_id user_name working_directory""".split()
for job in sorted(json.loads(text)["jobs"], key=lambda job: job["name"]):
    if str(job["job_id"]) in sys.argv:
        for name, value in sorted(job.items()):
            if name == "state":
                value = value["current"]
            if name in ("cpus_per_task", "memory_per_cpu", "power", "required"):  # numbers that may be missing; a list that may be
                continue
            print(job["name"], name, shape(value), json.dumps(value or "") if name in STABLE else "")
' $ids
}
export SBATCH_TIMELIMIT=5
printf '#!/bin/sh\n#SBATCH -n 1\nexit 0\n' > job.sh
mkdir sub
cp job.sh sub/there.sh
a=$(sbatch --parsable -H -J one -o one.%j.log --wrap=true)
b=$(sbatch --parsable -H -J two -o two.%A_%a.log -a 1-5:2 job.sh x 'y  z')
c=$(sbatch --parsable -H -J three -a 3-6 ./job.sh)
d=$(sbatch --parsable -H -J four -D /tmp -o four.log -e err.%x -i /dev/zero job.sh q)
e=$(sbatch --parsable -J five -o five.%a -a 2,4 -d "afterany:$a:$b" --wrap=true)
f=$(sbatch --parsable -H -J six -D sub there.sh)
g=$(sbatch --parsable -H -J seven -a 1,2 -o 'seven.%j.%%.%12a.%x' -e 'err.%%j' job.sh)
ids="$a $b $c $d $e $f $g"
# A job about itself.
for name in eight nine; do
    sbatch --parsable -J $name -o $name.log --wrap='scontrol show job $SLURM_JOB_ID --json | grep -E "job_id|  .name\"" | sort
        squeue -h -j $SLURM_JOB_ID -o "%i %j %o"'
done
for id in $ids; do echo "$id"; done
later="--begin=now+1hour -o /dev/null"
o=$(sbatch --parsable $later -J alone -c 2 --wrap true)
p=$(sbatch --parsable $later -J options -n 2 -c 1 -t 7 --comment 'a "b"' --nice=5 --no-requeue job.sh)
q=$(sbatch --parsable $later -H -J array -a 1-9:2%3 job.sh)
ids="$o $p $q"
for id in $ids; do echo "$id"; done
known() { [ "$(sacct -n -X -P -j "${ids// /,}" -o JobID | wc -l)" = 3 ]; } # accounting lags behind
[ -n "${SARRAY_MODE-}" ] || until known; do again || break; done
squeue --json | shapes > waiting.queue.txt
sacct --json -j "${ids// /,}" | shapes > waiting.accounting.txt
for id in $ids; do scontrol show job $id --json 2>&1 | shapes; done > waiting.scontrol.txt
for form in v0.0.40 v0.0.41 v0.0.42+complex; do
    squeue --json=$form 2>&1 | shapes
    sacct --json=$form -j "${ids// /,}" 2>&1 | shapes
done > waiting.forms.txt
scancel $ids
ids="$a $b $c $d $e $f $g"
flush
until [ "$(squeue -h -j $e -o %r)" = Dependency ]; do again || break; done
while [ -n "$(squeue -h -n eight,nine)" ]; do again || break; done
squeue --json | jobs > squeue.json.txt
# 22.05 has all jobs in each.
for words in "-j $a,${b}_3" "-j ${c}_4,${c}_6" "-n one,three" "-t R" "-t all -j $d" "-h -j $e" "-l -h -n two"; do
    squeue --json $words 2>&1 | jobs
done > filtered.txt
for id in $a $b ${b}_3 $c $d $f ${g}_1 ""; do scontrol show job $id --json 2>&1 | jobs; done > scontrol.txt
for id in $b ${b}_5 $c ${c}_3 $d $f $g ${g}_2; do
    scontrol show job $id | grep -E '^ *(JobId|Command|WorkDir|Std...?)='
done > records.txt
scontrol --json show job 99 2>&1 | grep -v '"number"' >> scontrol.txt
squeue -h -S i -O 'Name,StdOut:200,StdErr:200,StdIn:200,Command:200' | tr -s ' ' > columns.txt
{
    squeue --only-job-state -S i -j $a,$b
    squeue --only-job-state -h -S i -j $a,$c -o '%i|%A|%F|%K|%j|%o|%T|%u'
} 2>&1 | tr -s ' ' | sed 's/^ //' > states.txt
squeue --only-job-state --json -j $a,$b 2>/dev/null | grep -E '^ *"(job_id|PENDING)' | sort >> states.txt
squeue --only-job-state --json --noheader -j ${b}_3 2>/dev/null | grep -E '^ *"(job_id|PENDING)' | sort >> states.txt
squeue --expand-patterns -h -S i -O 'Name,StdOut:200,StdErr:200,StdIn:200' 2>&1 | tr -s ' ' > expanded.txt
scancel $c $f $g
ids="$a $b $d $e"
scontrol release $a $b $d
for id in $a $b $d $e; do while [ -n "$(squeue -h -j $id 2>/dev/null)" ]; do again || break; done; done
squeue --json -t all -j $a,$b,$d | jobs > ended.txt
