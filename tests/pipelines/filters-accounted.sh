# shows: users, states, accounts and partitions by which sacct chooses
. "$TOOLS/lib.sh"
job=$(sbatch --parsable -H -J waiting -A site -p main -o /dev/null --wrap=true)
until [ -n "$(sacct -n -X -j "$job" -o jobname)" ]; do again || break; done
me=$(id -un) number=$(id -u)
look() {
    echo "$* $(sacct -n -X -P -o jobname -j "$job" "$@" 2>&1)"
} >>looks
for users in nosuch "$me,root" root "+$number" ""; do look -u "$users"; done
look -u "$me" -u root
for accounts in "" SITE main; do look -A "$accounts"; done
for partitions in MAIN, nosuch; do look -r "$partitions"; done
look -s PD
scancel "$job"
