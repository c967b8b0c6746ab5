# shows: singletons that go to the real sbatch at once wait for older calls of their name: tickets, real ids, and both
# ids: auto
. "$TOOLS/lib.sh"
cat > knows.sh <<'JOB'
#!/bin/bash
sleep 1
echo "${SLURM_JOB_ID:+has an id} $SLURM_JOB_NAME" >"ended.$1"
JOB
printf '#!/bin/bash\nsleep 1\necho $SLURM_JOB_NAME >ended.$1\n' >plain.sh
printf '#!/bin/bash\n: $SLURM_JOB_ID\nls ended.$1* >saw.$1.$2\n' >last.sh
run() { sbatch --parsable -o /dev/null "$@"; }
run -J tickets plain.sh tickets.1; run -J tickets plain.sh tickets.2
run -J tickets -d singleton last.sh tickets 1
run -J both plain.sh both.1; run -J both knows.sh both.2; run -J both knows.sh both.3
run -J other plain.sh other.1
run -J both -d singleton last.sh both 1
run -J left plain.sh left.1; run -J left knows.sh left.2; run -J left knows.sh left.3; run -J left knows.sh left.4
run -J left -d singleton --deadline=now+1hour last.sh left 1
SBATCH_JOB_NAME=left run --depend=singleton --deadline=now+1hour last.sh left 2
# The name is that of the script, of a directive, or `wrap`; nobody else is waited for.
run plain.sh plain.sh.1; run -d singleton,afterany:1 --deadline=now+1hour -J plain.sh last.sh plain.sh 1
run -J inside plain.sh inside.1
printf '#!/bin/bash\n#SBATCH -J inside -d singleton\n#SBATCH --deadline=now+1hour\nls ended.inside.* >saw.inside\n' >inside.sh
run inside.sh
run --wrap 'sleep 1; touch ended.wrap.1'
run -d singleton --deadline=now+1hour --wrap 'ls ended.wrap.* >saw.wrap'
run -H -J never plain.sh never
flush
until [ "$(squeue -h -o %j)" = never ]; do again || break; done
scancel -n never
until [ -z "$(squeue -h -o %j)" ]; do again || break; done
