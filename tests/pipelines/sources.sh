# shows: scripts from files, PATH, stdin and --wrap
# arrays: 1
. "$TOOLS/lib.sh"
printf '#!/bin/bash\necho from a file "$@"; cat "$0"' > file.sh
mkdir sub bin; cp file.sh sub/x.sh; cp file.sh bin/found; export PATH=$PATH:$PWD/bin
sbatch -o 1.log file.sh a b
sbatch -o 2.log ./file.sh a b
sbatch -o 3.log sub/x.sh
sbatch -o 4.log "$PWD/sub/x.sh"
sbatch -o 5.log found
sbatch -o "$PWD/6.log" -D sub x.sh
sbatch -o 7.log <<'S'
#!/bin/bash
echo here-document $# "$0" | sed 's/job[0-9]*/job/'
S
printf '#!/bin/sh\necho "pipe $SLURM_JOB_NAME $1"' | sbatch -o 8.log /dev/stdin argument
printf '#!/bin/sh\necho "pipe"' | sbatch -o 9.log
sbatch -o 10.log --wrap='echo wrapped "$SLURM_JOB_NAME"; cat "$0"'
sbatch -o 11.log --wrap 'printf "%s\n" "a  b" $HOME {1,2}'
sbatch -o 12.log --wrap=''
for i in 1 2 3; do
    temp=$(mktemp ./tmp.XXXXXX)
    printf '#!/bin/bash\necho temp %s\n' $i > "$temp"
    sbatch -J "t$i" -o "temp$i.log" "$temp"
    rm "$temp"
done
echo '#!/bin/sh
echo first' > again.sh; sbatch -o again1.log again.sh
echo '#!/bin/sh
echo second' > again.sh; sbatch -o again2.log again.sh
