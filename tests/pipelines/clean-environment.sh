cp "$TOOLS/probe.py" job.py
env -i PATH="$PATH" SLURM_CONF="$SLURM_CONF" SARRAY_STATE_DIR="$SARRAY_STATE_DIR" ${SARRAY_MODE:+SARRAY_MODE=$SARRAY_MODE SARRAY_SESSION=$SARRAY_SESSION} sbatch -o clean.log job.py
sbatch -o full.log job.py
