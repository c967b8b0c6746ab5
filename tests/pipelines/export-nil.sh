# shows: --export=NIL, which newer versions take for neither variables nor a login environment, beside what looks like it
cp "$TOOLS/probe.py" job.py
export MINE='of the caller' SLURM_MINE=3
ulimit -S -n 512
n=0
call() { n=$((n + 1)); sbatch -o "$n.log" "$@" job.py; echo "rc $?"; }
call --export=NIL
call --export=nil -J other
call --export Nil --comment=x
call --export=NIL,MINE
call --export=MINE,NIL
call --export=NIL,
call --export=' NIL'
call --export=NILS
call --export=NONE
MINE=changed call --export=NIL
MINE=changed PATH=/opt/none:$PATH LD_PRELOAD=/nowhere.so call --export=NIL 2>/dev/null
SLURM_MINE=4 call --export=NIL
SBATCH_EXPORT=nil call
SBATCH_EXPORT=NIL call --export=ALL
SLURM_EXPORT_ENV=before call --export=NIL
call --export=NIL --get-user-env
call --export=NIL -a 1-2 -o array.%a.log
SLURMX=5 call --export=NIL
env -i PATH="$PATH" HOME="$HOME" SLURM_CONF="$SLURM_CONF" ${SARRAY_MODE:+SARRAY_MODE=$SARRAY_MODE SARRAY_SESSION=$SARRAY_SESSION SARRAY_STATE_DIR=$SARRAY_STATE_DIR} \
    sbatch -o clean.log --export=NIL --wrap='env | grep -v "^SLURM" | sort'
printf '#!/bin/bash\n#SBATCH --export=NIL\necho "$0 $# $1"; env | grep -E "^(MINE|SLURM_MINE|SLURM_EXPORT_ENV|SLURM_GET_USER_ENV|HOME|PATH|SHLVL)=" | sort; echo "${HOME-none} $PATH"\n' > script.sh
sbatch -o script.log script.sh 'a b'
sbatch -o limits.log --wrap='ulimit -S -n; echo "$PATH"' --export=NIL
