# shows: calls made with nearly no environment
cp "$TOOLS/probe.py" job.py
env -i PATH="$PATH" SLURM_CONF="$SLURM_CONF" ${SARRAY_MODE:+SARRAY_MODE=$SARRAY_MODE SARRAY_SESSION=$SARRAY_SESSION SARRAY_STATE_DIR=$SARRAY_STATE_DIR} sbatch -o clean.log job.py
sbatch -o full.log job.py
SLURM_CONF_SERVER=login:6817 sbatch -o server.log job.py
