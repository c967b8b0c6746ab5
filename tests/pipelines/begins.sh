# shows: times of day and days, in the past and in the future, each in the caller's own time zone
# What is in the future waits: its time is looked at, then it is cancelled.
. "$TOOLS/lib.sh"
n=0
past() { n=$((n + 1)); sbatch -o "$n.log" -b "$@" --wrap='echo begun'; }
past 2020-01-01T10:00
past 2021-02-30
past 010112
past 12/31/19-23:59:59
past '01.05.20 4:00 PM'
past today
past todayT00:00
past now
for zone in UTC Asia/Tokyo America/New_York; do
    for when in 16:00 4:00pm '4:00 AM' noon midnight fika teatime tomorrow 'tomorrow noon' '16:00 tomorrow' tomorrowT8:30:15 12/30 1/2 \
        12/01/36 120136 12.01.36-10:00 2036-12-01T10:00 '2036-12-01 10:00:59' 2037-02-30; do
        TZ=$zone sbatch --parsable -J "$zone $when" -b "$when" --wrap='echo never'
    done
done > ids.txt
cat ids.txt
flush
for id in $(cat ids.txt); do
    TZ=UTC scontrol show job "$id" | grep -oE 'StartTime=[^ ]*' | head -n 1
done > times.txt
scancel $(cat ids.txt)
rm ids.txt
