# shows: scripts in any language, with interpreter options
# arrays: 1
printf '#!/usr/bin/python3\nimport sys; print(sys.argv[1:], sys.flags.isolated)' > p.py
printf '#!/usr/bin/perl -w\nprint "perl @ARGV\\n";' > p.pl
printf '#!/bin/bash -l\nshopt login_shell; echo "$1"' > login.sh
printf '#!/bin/bash -eu\necho before; false; echo after' > eu.sh
printf '#! /bin/sh\necho blank' > blank.sh
printf '#!/usr/bin/env python3\nprint("env")' > env.py
printf '#!/bin/sh\ncat <<X\n$HOME {{ x }}\nX\nprintf "\\\\n \\377 \377\376"' > bytes.sh
{ printf '#!/bin/bash\n: <<"X"\n'; head -c 700000 /dev/zero | tr '\0' 'y' | fold -w 100; printf '\nX\nwc -c < "$0"; md5sum < "$0"\n'; } > big.sh
printf '#!/bin/cat\nthis is data\n' > data.txt
printf '#!/bin/bash\n#SBATCH -J "a name"\nexec -a other sh -c "exit 7"' > exec.sh
for script in p.py p.pl login.sh eu.sh blank.sh env.py bytes.sh big.sh data.txt exec.sh; do
    sbatch -o "$script.log" "$script" 'an argument'
done
