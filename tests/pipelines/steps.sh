# shows: srun steps in merged jobs
cat > job.sh <<'S'
#!/bin/bash
srun -Q -n2 -o step-$1-%t.out sh -c 'echo task $SLURM_PROCID of $SLURM_NTASKS in $PWD; echo $SAMPLE'
srun -Q -n1 echo plain step $1
srun -Q -n1 sh -c 'exit 3' 2>/dev/null; echo rc $?
S
for i in 1 2; do SAMPLE=s$i sbatch -n 2 -o job$i.log job.sh $i; done
sbatch -n 2 --array=1-2 -o arr%a.log --wrap='srun -Q -n1 -o arr-step-%a.out echo $SLURM_ARRAY_TASK_ID'
