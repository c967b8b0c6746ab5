# shows: TMPDIR that is there, missing, or no folder
cp "$TOOLS/probe.py" job.py
unset TMPDIR
sbatch -o unset.log job.py
mkdir there
TMPDIR=$PWD/there sbatch -o there.log job.py
TMPDIR=$PWD/made sbatch -o made.log job.py
TMPDIR=$PWD/no/such sbatch -o nosuch.log job.py
TMPDIR=$PWD/no/such sbatch -o nosuch2.log -e nosuch2.err job.py
TMPDIR=/etc/passwd sbatch -o file.log job.py
# Its mode is the caller's to mask.
for n in 1 2; do (umask 0100 && TMPDIR=$PWD/masked.$n sbatch -o masked.$n.log job.py); done
