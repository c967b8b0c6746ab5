# shows: chains with failures, by all kinds of dependency
step() { sbatch --parsable "$@"; }
for s in a b c; do
    j=$(step -o $s.1.log --wrap="echo 1 $s > $s.txt; [ $s != b ]")
    k=$(step -o $s.2.log -d afterok:$j --kill-on-invalid-dep=yes --wrap="cat $s.txt; echo 2 $s >> $s.txt")
    l=$(step -o $s.3.log --dependency afterany:$k --wrap="cat $s.txt")
    all=$all:$l
done
sbatch -o final.log --depend=afterany$all --wrap='cat *.txt'
arr=$(step -o arr%a.log --array=1-3 --wrap='echo $SLURM_ARRAY_TASK_ID > arr.$SLURM_ARRAY_TASK_ID; [ $SLURM_ARRAY_TASK_ID != 2 ]')
sbatch -o element.log -d afterok:${arr}_3 --wrap='cat arr.3'
sbatch -o notok.log -d afternotok:$arr --wrap='cat arr.?'
sbatch -o corr%a.log --array=1-3 -d aftercorr:$arr --kill-on-invalid-dep=yes --wrap='cat arr.$SLURM_ARRAY_TASK_ID'
sbatch -o either.log -d "afterok:${arr}_1?afterok:${arr}_2" --wrap='echo either'
sbatch -o seen.log -d afterany:$arr --wrap='echo $SLURM_JOB_DEPENDENCY'
sbatch -o single1.log -J one -d singleton --wrap='echo 1 >> single'
sbatch -o single2.log -J one -d singleton --wrap='echo 2 >> single'
slow=$(step -o slow.log --wrap='sleep 2; touch slow.done')
sbatch -o bare.log -d $slow --wrap='ls slow.done'
many=$(step -o many%a.log -a 1-3 --wrap='[ $SLURM_ARRAY_TASK_ID = 1 ] || sleep 2; touch many.$SLURM_ARRAY_TASK_ID')
fail=$(step -o fail.log --wrap='sleep 6; exit 1')
sbatch -o or.log -d "afterok:$many?afterok:$fail" --wrap='ls many.*'
sbatch -o brackets.log -d "afterok:${many}_[1-2]" --wrap='ls many.1 many.2'
sbatch -o nosuch.log -d "afterany:${many}_9" --wrap='echo none'
printf '#!/bin/sh\n#SBATCH -d afterok:%s\n#SBATCH --switches=1\nls slow.done' $slow > dep.sh
sbatch -o handed.log dep.sh
sbatch -o after.log -d after:$slow --wrap='echo started'
printf '#!/bin/sh\n#SBATCH -d afterok:%s\necho "${SLURM_JOB_DEPENDENCY-none}"\n' $fail > cancelled.sh
sbatch -o first.log -d '' --wrap='echo "${SLURM_JOB_DEPENDENCY-none}"'
sbatch -o cancelled.log -d '' cancelled.sh
sbatch -o nodep.log --wrap='echo "${SLURM_JOB_DEPENDENCY-none}"'
