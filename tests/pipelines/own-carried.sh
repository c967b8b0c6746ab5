# shows: all that a call brings is its own where sbatch told the id of its job, at the first start and after a requeue
# ids: real
. "$TOOLS/lib.sh"
cat > job.sh <<'JOB'
#!/bin/bash
#SBATCH --requeue -t 5 --open-mode=append
{
    echo "== ${SLURM_RESTART_COUNT-0} ${0##*/} $SLURM_JOB_ID"
    printf '[%s]' "$@"; echo
    pwd; umask; ulimit -Sn; ulimit -Sc; nice; id -gn
    env | grep -v '^SLURM_JOB_\?ID=\|^SLURM_TASK_PID=\|^SLURM_JOB_SLUID=\|^SLURM_TOPOLOGY_ADDR\|_TIME=\|^_=' | sort
    readlink /proc/$$/fd/1
    cat
} >>"$OUT" 2>&1
echo "log ${SLURM_RESTART_COUNT-0}"; echo "err" >&2
touch "$UP"
[ "${SLURM_RESTART_COUNT-0}" = 0 ] && exec sleep 100
exit 0
JOB
mkdir 'd 1' 'd%j' e; echo input >in.txt
home=$PWD n=0
call() { OUT=$home/out.$1 UP=$home/up.$1 sbatch --parsable "${@:2}" | tee -a "$home/ids"; }
call 1 job.sh a "b c" 'd"e' $'f\ng' '' '*'
A='x y' B=$'l1\nl2' call 2 -J "na me" -o 'log-%x-%j.o' -e 'log-%j.e' job.sh two
(umask 077; call 3 -o u.%j.o job.sh umask)
(ulimit -S -n 100; ulimit -S -c 0; call 4 job.sh limits)
(cd 'd 1'; call 5 ../job.sh folder; call 6 -i ../in.txt ../job.sh input)
(cd 'd%j'; call 7 ../job.sh folder)
call 8 -D e job.sh chdir
(renice -n 4 $BASHPID >/dev/null; call 9 job.sh nice)
(for name in $(compgen -e); do [[ $name == @(PATH|HOME|USER|SLURM_CONF|SARRAY_*) ]] || unset "$name"; done; call 10 job.sh clean)
A=2 call 11 --export=OUT,UP,A=1 job.sh export
call 12 --wrap "bash job.sh"
n=12
flush
for i in $(seq $n); do until [ -e up.$i ]; do again || break; done; done
# A job that starts again within the second in which it was stopped is killed: "Job credential revoked".
second=$(date +%s); until [ "$(($(date +%s) - second))" -gt 1 ]; do again || break; done
for i in $(seq $n); do rm up.$i; done
for id in $(cat ids); do scontrol requeue "$id"; done
until [ "$(squeue -h -t PD -o %j | wc -l)" = $n ]; do again || break; done
second=$(date +%s); until [ "$(($(date +%s) - second))" -gt 1 ]; do again || break; done
for id in $(cat ids); do scontrol update JobId="$id" StartTime=now; done
until [ -z "$(squeue -h -o %j)" ]; do again || break; done
