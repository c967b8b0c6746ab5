# shows: what acts on every program (LD_PRELOAD) acts on the job alone
# not at a site: its task prolog sees LD_PRELOAD, and its shell says so in the log
# arrays: 1
# What acts on every program acts on the job alone: here each program complains of a library that is not there.
printf '#!/bin/sh\necho "$LD_PRELOAD"\n/bin/true\n' > job.sh
for n in 1 2 3; do
    LD_PRELOAD=/no/such/library.so sbatch -o "$n.log" job.sh 2>/dev/null
done
for fd in 2 99; do BASH_XTRACEFD=$fd sbatch -o "fd$fd.log" job.sh 2>/dev/null; done
MALLOC_PERTURB_=85 GLIBC_TUNABLES=glibc.malloc.check=3 EXECIGNORE='*/dd' sbatch -o many.log job.sh
