# The scenario of tests/record, played by its user at a login node: calls in every state that a companion may show.
# Writes the name and the ticket of each call into ~/tickets. $1: whether there is accounting ("yes").
# shellcheck shell=bash disable=SC2154,SC1010 # queue declares the names of calls; "done" is a word for job.sh
set -euo pipefail

mkdir -p "$HOME/work/out"
cd "$HOME/work"
cat >job.sh <<'JOB'
#!/bin/bash
case $1 in
done) exit 0 ;;
fail) exit 3 ;;
array) [ "$SLURM_ARRAY_TASK_ID" != 1 ] || exit 0 ;;
step) srun -n1 -c1 sleep 3000 & ;;
esac
exec sleep 3000
JOB

queue() { # NAME WORDS...: one call in queue mode
    local name=$1 ticket
    ticket=$(SARRAY_MODE=queue sbatch --parsable "${@:2}")
    echo "$name $ticket" >>~/tickets
    declare -g "$name=$ticket"
}

until_state() { # TICKET STATE [squeue's words]: for 60 s
    local _ found
    for _ in $(seq 300); do
        found=$(squeue -h -t all -r -j "$1" -o %T) || true
        [ "$found" != "$2" ] || return 0
        sleep 0.2
    done
    echo "scenario: $1 is '$found' and not '$2' after 60 s" >&2
    squeue -t all -r -o '%i %A %j %T %r %C %E' >&2
    exit 1
}

# Not ours: a stranger's has been submitted before this, and this one is submitted directly.
direct=$(sbatch --parsable -p other -t 60 -J direct -o /dev/null job.sh direct)
echo "direct $direct" >>~/tickets

# Lanes: the first pair has moved on, the second has not.
queue lane_done -p other -t 60 -J align-1 job.sh done
queue lane_runs -p other -t 60 -J align-2 job.sh runs
queue lane_moves -p other -t 60 -J call-1 -d "afterok:$lane_done" job.sh runs
queue lane_waits -p other -t 60 -J call-2 -d "afterok:$lane_runs" job.sh runs
sarray-flush >&2
until_state "$lane_moves" RUNNING
until_state "$lane_runs" RUNNING
until_state "$lane_waits" PENDING

# One array, of which four tasks have a place at a time: 15 of 64 CPUs each.
big=(-c 15 -t 60 -o 'out/%x-%j.log')
queue finished "${big[@]}" -J finished job.sh done
queue failed "${big[@]}" -J failed job.sh fail
queue run "${big[@]}" -J run --comment='of its own' job.sh step 'two words'
queue array "${big[@]}" -J cohort --array=1-6 -o 'out/%A_%a.log' job.sh array
queue waits "${big[@]}" -J wait job.sh waits
queue cancelled "${big[@]}" -J cancelled job.sh cancelled
queue held "${big[@]}" -J held job.sh held
queue last "${big[@]}" -J wait -e 'out/%j.err' job.sh last
# On hold from the start.
queue on_hold -p other -t 60 -J on-hold --hold job.sh held
sarray-flush >&2

until_state "${array}_4" RUNNING
until_state "$finished" COMPLETED
until_state "$failed" FAILED
scancel "${array}_4"
until_state "${array}_5" RUNNING
scancel "$cancelled"
scontrol hold "$held"
until_state "$cancelled" CANCELLED

# What no flush has submitted.
queue late "${big[@]}" -J late job.sh late
queue late_array "${big[@]}" -J late-array --array=0-4:2%2 job.sh array
queue late_dependent "${big[@]}" -J late-dependent -d "afterok:$run:$late" --comment=later job.sh late
queue late_cancelled "${big[@]}" -J late-cancelled job.sh late
scancel "$late_cancelled"

if [ "$1" = yes ]; then
    # The accounting hears of jobs some seconds later.
    for _ in $(seq 300); do
        found=$(sacct -X -n -P -j "$failed,$lane_moves,${array}_5" -o state | sort | tr '\n' ' ')
        [ "$found" != "FAILED RUNNING RUNNING " ] || exit 0
        sleep 0.2
    done
    echo "scenario: the accounting says '$found' after 60 s" >&2
    exit 1
fi
