# shows: the job's name in all the ways it can be given
# arrays: 1
cp "$TOOLS/probe.py" job.py
sbatch -o 1.log job.py
sbatch -o 2.log -J given job.py
sbatch -o 3.log -J 'with blank' job.py
SBATCH_JOB_NAME=variable sbatch -o 4.log job.py
SBATCH_JOB_NAME=variable sbatch -o 5.log -J wins job.py
sbatch -o 6.log < job.py
SLURM_JOB_NAME=leaked sbatch -o %x.7.log < job.py
env -u SLURM_JOB_NAME sbatch -o %x.8.log < job.py
sbatch -o 9.log -J $'n\xc3\xa4me' job.py
