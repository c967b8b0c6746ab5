# shows: --input files by name and by pattern
# arrays: 1
cp "$TOOLS/probe.py" job.py
echo one > in.1; echo two > in.x; echo in > "in%"
sbatch -i in.1 -o 1.log job.py
sbatch -i in.%x -J x -o 2.log job.py
sbatch -o 3.log job.py
sbatch -i "in%%" -o 4.log job.py
sbatch -i missing -o 5.log job.py
SBATCH_INPUT=in.1 sbatch -o 6.log job.py
