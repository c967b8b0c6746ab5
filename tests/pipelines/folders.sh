# shows: calls from folders with odd names
# arrays: 1
cp "$TOOLS/probe.py" job.py
for sample in a 'b c' $'d\ne' '%j'; do
    mkdir "$sample"
    (cd "$sample" && sbatch -o "../$(printf %q "$sample").log" ../job.py)
done
mkdir real; ln -s real link
(cd link && sbatch -o ../link.log ../job.py)
sbatch -D a -o ../chdir.log ../job.py
sbatch -D "$PWD/a" -o abs.log "$PWD/job.py"
sbatch -D no/such -o "$PWD/nosuch.log" job.py
mkdir gone; (cd gone; sbatch -o ../gone.log ../job.py)
