# shows: samples with chains, a diamond, a pair, arrays behind arrays, and a summary become few arrays
# arrays: 10
# Samples with chains, a diamond, a pair, tasks of an array one by one, an array behind an array, and a summary.
step() { sbatch --parsable --kill-on-invalid-dep=yes "$@"; }
for i in $(seq 1 14); do
    a=$(step -J align -o logs.a.$i --wrap "echo a $i > a.$i; [ $i != 5 ] && [ $i != 9 ]")
    b=$(step -J call -o logs.b.$i -d afterok:$a --wrap "cat a.$i; echo b > b.$i; [ $i != 7 ]")
    c=$(step -J stats -o logs.c.$i -d afterok:$a --wrap "cat a.$i; echo c > c.$i")
    d=$(step -J report -o logs.d.$i -d afterok:$b:$c --wrap "cat b.$i c.$i; echo \$SLURM_JOB_DEPENDENCY; env | grep ARRAY")
    all=$all:$d
done
sbatch -J summary -o summary.log -d afterany$all --wrap "cat logs.d.*"
arr=$(step -o map.%a --mem 20 --array=2-12:2 --wrap 'echo $SLURM_ARRAY_TASK_ID > map.$SLURM_ARRAY_TASK_ID.txt; [ $SLURM_ARRAY_TASK_ID != 4 ]')
for i in 2 4 6 8 10 12; do step -o one.$i --mem 20 -d afterok:${arr}_$i --wrap "cat map.$i.txt"; done
for i in 1 2 3; do
    f=$(step -o first.$i.%a --mem 30 --array=1,3,5 --wrap 'echo $SLURM_ARRAY_TASK_ID; [ $SLURM_ARRAY_TASK_ID != 3 ]')
    s=$(step -o second.$i.%a --mem 30 --array=1,3,5 -d aftercorr:$f --wrap "cat first.$i.\$SLURM_ARRAY_TASK_ID; env | grep ARRAY | grep -v JOB_ID")
done
step -o after.log --mem 30 -d afterok:$s --wrap 'echo never'
