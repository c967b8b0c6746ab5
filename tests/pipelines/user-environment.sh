# shows: the user's login environment, under what the caller exports (pysqa and executorlib write --get-user-env=L)
# A newer sbatch takes no value: its words are compared too.
cp "$TOOLS/probe.py" job.py
n=0
call() { n=$((n + 1)); sbatch -o "$n.log" "$@" job.py; echo "rc $?"; }
export MINE='of the caller' MAIL=/mine
call --get-user-env
call --get-user-env=L
call --get-user-env=S
call --get-user-env=l
call --get-user-env=10L
call --get-user-env=10
call --get-user-env=
call --get-user-env=x
call --get-user-env --export=ALL,OTHER=1
call --get-user-env --export=MINE
call --get-user-env --export=NONE
call --get-user-env=L --export=NONE
MINE=changed PATH=/opt/none:$PATH call --get-user-env
MINE=changed LANG=C call --get-user-env=L
SBATCH_GET_USER_ENV= call
SBATCH_GET_USER_ENV=L call
call --get-user-env=L -a 1-2 -o array.%a.log
printf '#!/bin/bash -l\n#SBATCH --get-user-env=L\n#SBATCH --mem=100MB\necho "$PATH" "$MAIL" "$MINE" "$SLURM_GET_USER_ENV" "${SLURM_EXPORT_ENV-unset}"\n' > job.sh
sbatch -o script.log job.sh
printf '#!/bin/sh\n#SBATCH --get-user-env=L\necho "$PATH" "$MINE"\n' | sbatch -o stdin.log
