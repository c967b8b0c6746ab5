# shows: arguments reach the job byte for byte
# arrays: 1
cp "$TOOLS/probe.py" job.py
i=0
for value in 'a b' '' '$HOME' '*' "it's" 'say "hi"' $'two\nlines' $'tab\there' '{{ jinja }} {% raw %}' '-n' '--help' '--array=9' $'\xff\xfe' '\n\\' '`id`' $'cr\rhere' ':a' "$(printf 'x%.0s' {1..5000})"; do
    sbatch -o "log.$((i++))" job.py "$value" second
done
sbatch -o log.none job.py
sbatch -o log.options job.py -n 4 --array=9 --help --
sbatch -o log.dashes -- job.py -- x
