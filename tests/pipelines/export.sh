# shows: --export in all its forms
cp "$TOOLS/probe.py" job.py
export A=1 B=2 SLURM_MINE=3
n=0
for value in ALL all NONE none A,B=9 ALL,X=1 X=1,ALL ALL,A=other A=other,ALL 'X="a,b",Y=2' X=a=b ALL,SAMPLE=s1 ALL,SAMPLE=s2 HOME ALL,HOSTNAME=liar 'ALL,X=with blank' PATH=/nowhere:/usr/bin:/bin; do
    sbatch -o "log.$((n++))" --export="$value" job.py
done
SBATCH_EXPORT=B sbatch -o log.variable job.py
SLURM_EXPORT_ENV=before sbatch -o log.before --export=A job.py
sbatch -o log.empty --export= job.py
# Which of these go with a list depends on the version.
export SLURMD_FIVE=5 SLURMD_NODENAME=liar _SLURM_SPANK_OPTION_x=y
for value in ALL NONE A; do sbatch -o "log.d.$value" --export="$value" job.py; done
unset SLURMD_FIVE _SLURM_SPANK_OPTION_x
for value in ALL NONE A; do sbatch -o "log.n.$value" --export="$value" job.py; done
