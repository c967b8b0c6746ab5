# requires: snakemake==9.27.1 snakemake-executor-plugin-slurm==2.8.0 snakemake-executor-plugin-slurm-jobstep==0.6.1
# files: Snakefile
# A rule of ten jobs, one for each of them, and one that joins them, with the slurm executor.
set -eu
# Its jobs take all SLURM_* away before they start srun, which then finds the slurm.conf of /etc: this cluster's is not.
mkdir bin
printf '#!/bin/sh\nSLURM_CONF=%s PATH=%s exec srun "$@"\n' "$SLURM_CONF" "$PATH" >bin/srun
chmod +x bin/srun
export PATH=$PWD/bin:$PATH
snakemake --executor slurm --jobs 20 --default-resources slurm_partition=main --slurm-init-seconds-before-status-checks 2 \
    --seconds-between-status-checks 2 --latency-wait 20 >&2
mv all.txt result.txt
