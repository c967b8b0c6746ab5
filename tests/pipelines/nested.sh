# shows: jobs that submit jobs
cat > outer.sh <<'S'
#!/bin/bash
echo "mode=${SARRAY_MODE-none} session=${SARRAY_SESSION-none}"
sbatch -o inner.$1.log inner.sh "$1" | sed 's/[0-9]*$//'
S
cp "$TOOLS/probe.py" inner.sh
sed -i 's/"SLURM_TASK_PID")/"SLURM_TASK_PID", "SLURM_TOPOLOGY_ADDR", "SLURM_ARRAY_JOB_ID")/' inner.sh
sbatch -o outer1.log outer.sh 1
sbatch -o outer2.log outer.sh 2
