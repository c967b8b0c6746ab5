# shows: options in several spellings give the job the same resources
cp "$TOOLS/probe.py" job.py
n=0
call() { n=$((n + 1)); sbatch -o "$n.log" "$@" job.py; }
call -n2
call -n 2
call --ntasks=2
call --ntasks 2
call --ntas=2 --job-n=x
call -c2 --mem=100
call --cpus-per-task=2 --mem=100M
call -t 60
call -t 1:00:00
call --time=0-1
call -N1 --exclusive
call -N1 --exclusive=user
call --nice
call --nice=50
call --requeue
call --no-requeue
call -p other
call --partition=main --comment='a comment'
call --mem-per-cpu=20
call -sO
call --begin=2020-01-01
call --begin=now
call --signal=B:USR1@60
call --distribution=block:cyclic -m cyclic
call --ntasks-per-node=2 -N1
call --hint=nomultithread
call --mail-type=NONE
call -k
call --contiguous
call --propagate=NONE
call --propagate=NOFILE,CORE
call --threads-per-core=1
call --get-user-env
call --profile=none
call --kill-on-invalid-dep=yes
call --spread-job
call --use-min-nodes
SBATCH_TIMELIMIT=5 SBATCH_PARTITION=other SBATCH_NO_REQUEUE= call
TZ=UTC call --begin=2021-01-01T10:00:00
TZ=Asia/Tokyo call --begin=2021-01-01T10:00:00
SBATCH_REQUEUE=yes call
