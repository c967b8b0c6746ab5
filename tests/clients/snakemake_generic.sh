# requires: snakemake==9.27.1 snakemake-executor-plugin-cluster-generic==1.0.9
# files: Snakefile
# The same with cluster-generic: an sbatch command of the user's own, and a status script that asks sacct and squeue.
set -eu
mkdir -p logs
cat >status.sh <<'S'
#!/bin/bash
state=$(sacct -n -X -P -j "$1" -o State | head -n 1)
[ -n "$state" ] || state=$(squeue -h -j "$1" -o %T 2>/dev/null)
case $state in
    COMPLETED) echo success ;;
    PENDING | RUNNING | COMPLETING | CONFIGURING | '') echo running ;;
    *) echo failed ;;
esac
S
chmod +x status.sh
snakemake --executor cluster-generic --jobs 20 --latency-wait 20 \
    --cluster-generic-submit-cmd "sbatch --parsable --partition=main --mem={resources.mem_mb} --time={resources.runtime} --job-name={rule} --output=logs/{rule}-%j.log" \
    --cluster-generic-status-cmd ./status.sh --cluster-generic-cancel-cmd scancel >&2
mv all.txt result.txt
