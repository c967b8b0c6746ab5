# shows: what submitit writes for single functions with mem_gb: the job finds its function by the id that sbatch told
# ids: real
. "$TOOLS/lib.sh"
# In place of `python -m submitit.core._submit FOLDER`, which finds its function and leaves its result by the job's id.
cat > _submit <<'STEP'
#!/bin/bash
echo "submitit INFO - Starting with JobEnvironment(job_id=$SLURM_JOB_ID, local_rank=$SLURM_LOCALID, signal=$SUBMITIT_EXECUTOR)"
read -r number <"$1/${SLURM_JOB_ID}_submitted.pkl"
echo "$((number * number)) $SLURM_NTASKS $SLURM_JOB_NAME $SLURM_MEM_PER_NODE" >"$1/${SLURM_JOB_ID}_0_result.pkl"
STEP
chmod +x _submit
mkdir log
for number in 1 2 3 4 5 6 7 8 9 10 11 12; do
    cat > "log/submission_file_$number.sh" <<JOB
#!/bin/bash

# Parameters
#SBATCH --error=$PWD/log/%j_0_log.err
#SBATCH --job-name=square
#SBATCH --mem=1GB
#SBATCH --nodes=1
#SBATCH --open-mode=append
#SBATCH --output=$PWD/log/%j_0_log.out
#SBATCH --partition=main
#SBATCH --signal=USR2@90
#SBATCH --time=5
#SBATCH --wckey=submitit

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output $PWD/log/%j_%t_log.out --error $PWD/log/%j_%t_log.err $PWD/_submit $PWD/log
JOB
    said=$(sbatch "log/submission_file_$number.sh")
    id=${said##* }
    echo "$number" >"log/${id}_submitted.pkl"
    mv "log/submission_file_$number.sh" "log/${id}_submission.sh"
    echo "$id" >>told
done
flush
for id in $(cat told); do
    until [ -z "$(squeue -h -j "$id" -o %i 2>/dev/null)" ]; do again || break; done
    cat "log/${id}_0_result.pkl" "log/${id}_0_log.out"
done
