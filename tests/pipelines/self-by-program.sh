# shows: programs that know their job requeue and cancel it past the shims, and hit none of the calls around it
. "$TOOLS/lib.sh"
cat > trainer.py <<'P'
import os, subprocess, sys, time
number, job, count = sys.argv[1], os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_RESTART_COUNT", "0")
with open(f"ran.{number}", "a") as log:
    log.write(f"restart {count} {sorted(name for name in os.environ if 'ARRAY' in name)}\n")
while not os.path.exists("go"):
    time.sleep(0.1)
if number in ("3", "6") and count == "0":
    subprocess.run(["bash", "-lc", f"/usr/bin/scontrol requeuehold {job}"], check=True)
    time.sleep(60)
while not os.path.exists("all"):
    time.sleep(0.1)
with open(f"ran.{number}", "a") as log:
    log.write("ends\n")
P
printf '#!/bin/bash\nexec python3 trainer.py "$1"\n' > train.sh
for i in 1 2 3 4 5 6; do sbatch --parsable -J "t$i" -o "log.$i" train.sh $i; done >ids
flush
until [ "$(cat ran.* 2>/dev/null | wc -l)" = 6 ]; do again || break; done
touch go
until [ "$(squeue -h -o '%j %t' | sort | tr '\n' ' ')" = "t1 R t2 R t3 PD t4 R t5 R t6 PD " ]; do again || break; done
second=$(date +%s)
until [ "$(($(date +%s) - second))" -gt 1 ]; do again || break; done
for i in 3 6; do
    id=$(sed -n ${i}p ids)
    scontrol release "$id"
    scontrol update JobId="$id" StartTime=now
done
until [ "$(cat ran.3 ran.6 | wc -l)" = 4 ]; do again || break; done
touch all
until [ -z "$(squeue -h -o %j)" ]; do again || break; done
squeue -h -t all -j "$(paste -sd, ids)" -o '%j %t' | sort >states
sed -i 's/[0-9]*/ID/' ids
