# shows: jobs write their own script to a file, and give nodes back, by their id; scripts that name it, and programs alone
. "$TOOLS/lib.sh"
cat > own.sh <<'JOB'
#!/bin/bash
mkdir "in.$1" && cd "in.$1"
scontrol write batch_script "$SLURM_JOB_ID" - >shown
scontrol write batch_script "$SLURM_JOB_ID" >said 2>&1
scontrol write batch_script "$SLURM_JOB_ID" named >>said 2>&1
cmp "slurm-$SLURM_JOB_ID.sh" "$0" && cmp named "$0" && cmp shown named && echo alike >>said
mv "slurm-$SLURM_JOB_ID.sh" own
for nodes in 5 1; do
    scontrol update JobId="$SLURM_JOB_ID" NumNodes=$nodes >"resized.$nodes" 2>&1
    echo "$?" >>"resized.$nodes"
done
for kind in sh csh; do
    [ ! -e "slurm_job_${SLURM_JOB_ID}_resize.$kind" ] || mv "slurm_job_${SLURM_JOB_ID}_resize.$kind" "resize.$kind"
done
ls >files
sed -i "s/$SLURM_JOB_ID/ID/g" said resized.* files
JOB
# No script that names its id: each task of this array is told apart by what runs in it.
{ echo '#!/bin/bash'; echo 'bash own.sh "$1" "$0"'; } >program.sh
sed -i 's/"\$0"/"${2-$0}"/g' own.sh
for i in 1 2 3; do sbatch --parsable -o /dev/null own.sh "own$i"; done
for i in 1 2 3; do sbatch --parsable -o /dev/null program.sh "program$i"; done
sed '/^for /,/^done/d; s/ resized[^ ]*//' own.sh >script.sh
for i in 1 2; do sbatch --parsable -a 3-5:2 -o /dev/null --wrap "bash script.sh task$i.\$SLURM_ARRAY_TASK_ID \"\$0\""; done
