# shows: scripts that look at themselves, their process and their descriptors
# arrays: 1
printf '#!/bin/bash\necho "$BASH_SOURCE" | grep -c slurm_script; wc -c < "$0"; stat -c %%a "$0"; echo $BASH_ARGV0 | grep -c slurm; ps -o args= -p $$ | sed "s,/.*/,,"' > self.sh
sbatch -o 1.log self.sh
sbatch -o 2.log self.sh 'a b'
printf '#!/bin/bash\nset -eu\nsource /dev/stdin <<X\necho sourced\nX\nread -r x < <(echo sub); echo $x; exec 3<&0; ls /proc/self/fd | wc -l; jobs; set -o | grep -c on; shopt | grep -c on; echo $- $SHLVL' > shell.sh
sbatch -o 3.log shell.sh
