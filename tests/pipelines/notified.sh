# shows: scontrol notify tells a job something, and none of those that run beside it
. "$TOOLS/lib.sh"
for i in 1 2 3; do sbatch --parsable -o log.$i --wrap "touch up.$i; until [ -e stop ]; do sleep 0.2; done"; done >ids
cat ids
flush
until [ -e up.1 ] && [ -e up.2 ] && [ -e up.3 ]; do again || break; done
scontrol notify "$(sed -n 2p ids)" you are the second
until [ -s log.2 ]; do again || break; done
touch stop
until [ -z "$(squeue -h -j "$(paste -sd, ids)" -o %i 2>/dev/null)" ]; do again || break; done
