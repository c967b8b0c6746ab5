# requires: qbatch==2.3.2
# debian: parallel
# A list of commands as an array and in chunks, and a job that waits for it by its name.
set -eu
export QBATCH_SYSTEM=slurm
for number in $(seq 12); do echo "echo $number >part$number.txt"; done >parts.txt
qbatch --walltime 0:05:00 --queue main --jobname parts --chunksize 3 parts.txt >&2
echo 'cat part?.txt part??.txt >all.txt' | qbatch --walltime 0:05:00 --depend parts --jobname last - >&2
for _ in $(seq 600); do
    [ ! -s all.txt ] || break
    sleep 0.2
done
sort -n all.txt >result.txt
