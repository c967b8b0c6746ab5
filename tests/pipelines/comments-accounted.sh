# shows: what sacct tells of comments when the jobs have ended
. "$TOOLS/lib.sh"
a=$(sbatch --parsable -J a -o a.log --comment=first --wrap='echo a')
b=$(sbatch --parsable -J b -o b.log --comment='second one' --wrap='echo b')
c=$(sbatch --parsable -J c -o c.log --wrap='echo c')
d=$(sbatch --parsable -J d -o d.log --comment=first --wrap='echo d')
for id in $a $b $c $d; do echo "$id"; done
flush
wanted() { [ "$(sacct -X -n -P -j "$a,$b,$c,$d" -o State | grep -c COMPLETED)" = 4 ]; }
for _ in $(seq 300); do wanted && break; sleep 0.1; done
sacct -X -P -j "$a,$b,$c,$d" -o JobID,Comment,State > table.txt
sacct -n -P -j "$b" -o JobID,Comment > steps.txt
sacct --json -j "$a,$b,$c,$d" | python3 -c '
import json, sys
for job in json.load(sys.stdin)["jobs"]:
    print(job["job_id"], job["comment"])' | sort > document.txt
