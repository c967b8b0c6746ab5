# shows: what a job gets from where it was submitted and what a site may add: tests/test_sites.py runs it beside a TaskProlog too
cp "$TOOLS/probe.py" job.py
export DROPPED=mine LANG=C
for venv in one two; do
    PATH=$PWD/$venv/bin:$PATH sbatch -o "$venv.log" job.py
    PATH=$PWD/$venv/bin:$PATH LD_LIBRARY_PATH=/$venv/lib sbatch -o "$venv.libraries.log" job.py
    TMPDIR=$PWD/$venv/tmp sbatch -o "$venv.none.log" job.py
    TMPDIR=$PWD/$venv.tmp sbatch -o "$venv.tmp.log" job.py
    TMPDIR=$venv.relative sbatch -o "$venv.relative.log" job.py
    TMPDIR=$PWD/$venv.array sbatch -a 1-4 -o "$venv.array.%a.log" job.py
done
for sample in a b c; do
    mkdir "in-$sample"
    (cd "in-$sample" && sbatch -o ../"$sample.log" ../job.py && env -u PWD -u OLDPWD sbatch -o ../"$sample.no.log" ../job.py)
done
for level in 3 7; do nice -n $level sbatch -o "nice.$level.log" job.py; done
env 'a.b=dotted' MAIL_PASSWORD=x COMP_TOKEN=y sbatch -o odd.log job.py
env -u DROPPED LC_ALL=C sbatch -o dropped.log job.py
n=0
for value in NONE ALL PATH,DROPPED=9 ALL,X=1 DROPPED,TMPDIR=/tmp; do
    sbatch -o "export.$((n++)).log" --export="$value" job.py
done
SBATCH_EXPORT=ALL,X=2 sbatch -o export.variable.log job.py
(cd in-a && sbatch -o ../export.cd.log --export=ALL,X=1 ../job.py)
