# shows: names that are no partition, reservation or feature fail at the call, and a fallback gets the job
# waits
# shellcheck source=tests/support/lib.sh
. "$TOOLS/lib.sh"
# The first call tells what there is.
first=$(sbatch --parsable -o first.out --wrap 'echo first')
until [ -z "$(squeue -h -j "$first" 2>/dev/null)" ]; do again || break; done
sbatch --parsable -p nowhere -o bad.out --wrap 'echo never' || echo "status $?"
SBATCH_PARTITION=neither sbatch --parsable -o bad.out --wrap 'echo never' || echo "status $?"
sbatch --parsable --reservation=none -o bad.out --wrap 'echo never' || echo "status $?"
sbatch --parsable -C nothing -o bad.out --wrap 'echo never' || echo "status $?"
sbatch --parsable -p main,nowhere -o bad.out --wrap 'echo never' || echo "status $?"
printf '#!/bin/sh\n#SBATCH --partition=fast\necho ran\n' >fast.sh
last=$(sbatch --parsable -o fallback.out fast.sh 2>/dev/null || sbatch --parsable -p main -o fallback.out fast.sh)
until [ -z "$(squeue -h -j "$last" 2>/dev/null)" ]; do again || break; done
cat first.out fallback.out
