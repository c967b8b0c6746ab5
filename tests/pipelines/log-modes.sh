# shows: logs are truncated or appended to, with the call's umask
printf '#!/bin/sh\necho out "$@"' > job.sh
echo before > t.out; echo before > a.out; echo before > b.out
sbatch -o t.out job.sh 1
sbatch -o a.out --open-mode=append job.sh 2
SBATCH_OPEN_MODE=a sbatch -o b.out job.sh 3
for i in 1 2 3 4; do sbatch -o shared.unordered --open-mode=append job.sh same; done
(umask 077; sbatch -o private.out job.sh)
(umask 002; sbatch -o group.out job.sh)
(umask 000; sbatch -o open.out --wrap='touch made; umask')
sbatch -o masked.out --wrap='touch made2; umask'
