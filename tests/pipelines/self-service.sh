# shows: jobs cancel and requeue themselves by the ids that they see
. "$TOOLS/lib.sh"
cat > plain.sh <<'JOB'
#!/bin/bash
echo "start $1" >> ran.p$1
squeue -h -j "$SLURM_JOB_ID" -o '%j %t %l' >> ran.p$1
"s${EMPTY-}control" show job "$SLURM_JOB_ID" | grep -o 'JobName=.*\|JobState=[A-Z]*' >> ran.p$1
[ "$1" = 4 ] && { "s${EMPTY-}control" requeuehold "$SLURM_JOB_ID"; sleep 60; exit 1; }
[ "$1" = 2 ] && "s${EMPTY-}cancel" "$SLURM_JOB_ID"
[ "$1" = 2 ] && { sleep 60; exit 1; } # which of the two a cancel kills first is chance
echo "end $1" >> ran.p$1
JOB
cat > array.sh <<'JOB'
#!/bin/bash
echo "start $SLURM_ARRAY_TASK_ID ${SLURM_RESTART_COUNT-}" >> ran.$SLURM_ARRAY_TASK_ID
squeue -h -j "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" -o '%i %t' | sed "s/$SLURM_ARRAY_JOB_ID/own/" >> ran.$SLURM_ARRAY_TASK_ID
squeue -h -j "$SLURM_JOB_ID" -t R -o '%j %K' | grep -x "array.sh $SLURM_ARRAY_TASK_ID" >> ran.$SLURM_ARRAY_TASK_ID
[ "$SLURM_ARRAY_TASK_ID" = 2 ] && "$1${EMPTY-}cancel" "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
[ "$SLURM_ARRAY_TASK_ID" = 3 ] && "$1${EMPTY-}control" requeuehold "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
[ "$SLURM_ARRAY_TASK_ID" = 1 ] || { sleep 60; exit 1; }
echo "end" >> ran.$SLURM_ARRAY_TASK_ID
JOB
for i in 1 2 3 4; do sbatch -t 5 -J p$i -o /dev/null plain.sh $i; done
a=$(sbatch --parsable -o /dev/null -a 1-3 array.sh s)
echo $a
flush
while [ "$(squeue -h -t PD,R,CG -o '%j %K %t' | grep -v CG | sort)" != "array.sh 3 PD
p4 N/A PD" ]; do again || break; done
squeue -h -t PD -o '%i %j %t %r' | sed '/p4/s/^[0-9]*/id/' | sort > left
scancel ${a}_3
scancel --name=p4
