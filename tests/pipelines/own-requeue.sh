# shows: jobs requeue, hold and cancel themselves by their own id, past the shims and in a login shell, beside siblings
. "$TOOLS/lib.sh"
cat > trainer.py <<'P'
import os, subprocess, sys
job = os.environ["SLURM_JOB_ID"]
count = os.environ.get("SLURM_RESTART_COUNT", "0")
with open(f"ran.{sys.argv[1]}", "a") as log:
    log.write(f"{job} restart {count} {os.environ['SLURM_JOB_NAME']} {sorted(n for n in os.environ if 'ARRAY' in n)}\n")
if sys.argv[1] in ("2", "4") and count == "0":
    subprocess.run(["/usr/bin/scontrol", "requeuehold", job], check=True)
    subprocess.run(["sleep", "60"])
P
cat > train.sh <<'JOB'
#!/bin/bash
: "$SLURM_JOB_ID"
[ "$1" = 3 ] && { python3 trainer.py "$1"; exit 3; }
exec python3 trainer.py "$1" # a shell might tell of a child that was terminated before it was itself
JOB
cat > login.sh <<'JOB'
#!/bin/bash -l
: "$SLURM_JOB_ID"
exec python3 trainer.py "$1"
JOB
for i in 1 2 3; do sbatch --parsable -J "t$i" -o /dev/null train.sh $i; done >ids
sbatch --parsable -J t4 -o /dev/null login.sh 4 >>ids
sbatch --parsable -d "afternotok:$(sed -n 3p ids)" -o after.3 --wrap 'cat ran.3'
sbatch --parsable -d "afterok:$(sed -n 3p ids)" -J never --wrap true
sbatch --parsable -d "afterok:$(sed -n 1p ids)" -o after.1 --wrap 'cat ran.1'
cat ids
flush
until [ "$(squeue -h -o '%j %t' | grep 't[24]' | sort)" = "t2 PD
t4 PD" ]; do again || break; done
until [ -s after.1 ] && [ -s after.3 ]; do again || break; done
# A job that starts again within the second in which it was stopped is killed: "Job credential revoked".
second=$(date +%s)
until [ "$(date +%s)" != "$second" ]; do again || break; done
for i in 2 4; do
    id=$(sed -n ${i}p ids)
    squeue -h -j "$id" -o '%i %j %t %Z' >>seen
    scontrol show job "$id" | grep -o 'JobId=.*\|Restarts=[0-9]*\|StdOut=.*' >>seen
    scontrol release "$id"
    scontrol update JobId="$id" StartTime=now
done
until [ -z "$(squeue -h -n t2,t4 -o %i)" ]; do again || break; done
scancel --name=never
