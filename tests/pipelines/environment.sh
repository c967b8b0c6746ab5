# shows: the environment reaches the job byte for byte, odd names and functions too
# arrays: 1
cp "$TOOLS/probe.py" job.py
export MULTI=$'first\nsecond' EMPTY= ODD='a=b=c \ " '"'" BYTES=$'\xff\x01\x7f' CR=$'x\ry\\n'
f() { echo "a function with $1"; }
export -f f
for sample in one two three; do
    export SAMPLE=$sample "ONLY_$sample=yes"
    sbatch -o "$sample.log" job.py
    unset "ONLY_$sample"
done
unset MULTI
sbatch -o unset.log job.py
env 'a.b=dotted' 'with blank=1' sbatch -o names.log job.py
env -u OLDPWD -u SHLVL PWD=/nowhere sbatch -o pwd.log job.py
HOSTNAME=liar SLURM_JOB_NAME=liar SLURM_NTASKS=77 SLURM_FOO=leak SLURM_ARRAY_TASK_ID=5 SLURM_RESTART_COUNT=2 sbatch -o leaks.log job.py
