# shows: the answers of sbatch: plain, --parsable and --quiet, from all places
printf '#!/bin/sh\ntrue' > job.sh
sbatch -o 1.log job.sh
sbatch -o 2.log --parsable job.sh
sbatch -o 3.log -Q job.sh
sbatch -o 4.log -Q --parsable job.sh
printf '#!/bin/sh\n#SBATCH --parsable\n#SBATCH -Q\ntrue' > p.sh
sbatch -o 5.log p.sh
sbatch --version
sbatch -V
sbatch --help | head -3
sbatch --usage | head -3
sbatch -o 6.log --wait --wrap='echo waited; exit 4'; echo "rc $?"
cat 6.log
sbatch -o 7.log -W job.sh; echo "rc $?"
SBATCH_WAIT= sbatch -o 8.log --wrap='exit 2'; echo "rc $?"
sbatch --test-only job.sh 2>&1 | grep -c 'to start at'
sbatch -o 9.log -Qv job.sh; echo "rc $?"
sbatch -o 10.log job.sh >&-; echo "rc $?"
sbatch -o 11.log job.sh > /dev/full; echo "rc $?"
