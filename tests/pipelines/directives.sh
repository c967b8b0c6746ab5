# shows: #SBATCH lines in all their spellings
head='#!/bin/bash'
body='env | grep -E "^SLURM_(JOB_NAME|NTASKS|CPUS_PER_TASK|JOB_NUM_NODES|MEM_PER|JOB_PARTITION)" | sort'
n=0
job() { n=$((n + 1)); printf '%s\n' "$head" "$@" "$body" > "s$n.sh"; sbatch -o "s$n.log" "s$n.sh"; }
job '#SBATCH -n 2' '#SBATCH --job-name=one'
job '#SBATCH -n2 -J"two words"'
job '' '   # indented' '#SBATCH -J three' '' '#SBATCH -c2'
job '#SBATCH -J first' 'true' '#SBATCH -J ignored'
job '##SBATCH -J no' '# SBATCH -J no' '#sbatch -J no' ' #SBATCH -J no'
job '#SBATCH-Jglued'
job '#SBATCH -J a#b' 
job '#SBATCH -J x # a comment --mem=1'
job '#SBATCH -J' '#SBATCH --mem=10'
job "#SBATCH -J 'single # quoted'"
job '#SBATCH --comment="" -J withempty'
job '#SBATCH -Q -v --wrap=foo -J early'
job '#SBATCH -p other' '#SBATCH	-J	tabs'
job '#SBATCH --parsable -J parsable'
job '#SBATCH -J esc\ aped'
job '#SBATCH -n 2 -n 3'
job '#SBATCH --ntasks 2' '#SBATCH --job-n=abbreviated'
job '#PBS -N pbsname' '#SBATCH -J both'
job '#SBATCH --ignore-pbs' '#PBS -N pbsname' '#SBATCH -J ignorepbs'
job '#BSUB -J bsub'
SBATCH_JOB_NAME=fromenv job '#SBATCH -J fromscript'
SBATCH_PARTITION=other job '#SBATCH -p main'
printf '#!/bin/sh\n#SBATCH -J nonl' > nonl.sh; sbatch -o nonl.log nonl.sh
