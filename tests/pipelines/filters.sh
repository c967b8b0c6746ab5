# shows: users, states, accounts and partitions by which squeue chooses, also such as do not exist, and lists of none
# As user ids: none, not a number, this user's in another spelling.
job=$(sbatch --parsable -H -J waiting -p main -o /dev/null --wrap=true)
me=$(id -un) number=$(id -u)
look() {
    echo "$SQUEUE_USERS $SQUEUE_STATES $* $(squeue -h -o %j -j "$job" "$@" 2>&1 | grep -v "(said once)")"
} >>looks
for users in nosuch "nosuch,$me" "$me,root" root 99999 1x "+$number" "$number " "" , "$me,"; do
    look -u "$users"
done
look -u "$me" -u root
look -u nosuch -u "$me"
look -u root --me
look --me -u root
SQUEUE_USERS=nosuch look
SQUEUE_USERS=root look --me
SQUEUE_USERS= look
for states in "" , PD, pending all nosuch R; do look -t "$states"; done
SQUEUE_STATES= look
for partitions in "" , main, MAIN nosuch; do look -p "$partitions"; done
look -A ""
squeue -u nosuch -h -j "$job" -O name >more 2>&1
squeue -u nosuch -h -s -j "$job" >>more 2>&1
squeue -u nosuch,"$me" -h -o %j >>more 2>&1
scancel "$job"
