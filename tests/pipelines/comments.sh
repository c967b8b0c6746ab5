# shows: one comment for each job, as snakemake writes them, shown in every way while the jobs wait and afterwards
. "$TOOLS/lib.sh"
lines() { tr -s ' ' | sort; }
printf '#!/bin/sh\n#SBATCH --comment="from the script"\necho $SLURM_JOB_NAME\n' > job.sh
a=$(sbatch --parsable -H -J a -o a.log --comment=rule_align_wildcards_a --wrap='echo a')
b=$(sbatch --parsable -H -J b -o b.log --comment rule_align_wildcards_b --wrap='echo b')
c=$(sbatch --parsable -H -J c -o c.log --wrap='echo c')
d=$(sbatch --parsable -H -J d -o d.log --comment='two words, {"a": 1} +1' --wrap='echo d')
e=$(sbatch --parsable -H -J e -o e.%a.log -a 1-2 job.sh)
f=$(sbatch --parsable -H -J f -o f.log --comment=rule_align_wildcards_a --wrap='echo f')
for id in $a $b $c $d $e $f; do echo "$id"; done
shown() {
    squeue -h -n a,b,c,d,e,f -o '%i|%j|%k|'
    squeue -h -n a,b,c,d,e,f -O JobID:12,Comment:40,Name:8
    squeue -h -r -j "$e" -o '%i %k'
    for id in $a $b $c $d $e $f; do
        echo "$id"
        scontrol show job $id | grep -E '^   Comment='
    done
    squeue --json | python3 -c '
import json, sys
for job in json.load(sys.stdin)["jobs"]:
    array = job["array_job_id"]
    if str(job["job_id"]) in sys.argv or str(array["number"] if isinstance(array, dict) else array) in sys.argv:
        print(job["job_id"], job["name"], repr(job["comment"]))' $a $b $c $d $e $f
}
shown | lines > waiting.txt
flush
shown | lines > submitted.txt
scontrol update JobId=$b Comment=other
scontrol update JobId=$c Comment=none_before
shown | lines > updated.txt
for id in $a $b $c $d $e $f; do scontrol release $id; done
while [ -n "$(squeue -h -n a,b,c,d,e,f)" ]; do again || break; done
