# sbatch-shim {{ version }}: put the shims first on PATH (written by install.sh or sarray install, which also remove it)
# For any POSIX shell and zsh, as often as one likes: a login shell may have put the site's folders before them.
case ${PATH-} in
{{ shims }} | {{ shims }}:*) ;;
*)
    PATH=${PATH:+:$PATH}:
    while :; do
        case $PATH in
        *:{{ shims }}:*) PATH=${PATH%%:{{ shims }}:*}:${PATH#*:{{ shims }}:} ;;
        *) break ;;
        esac
    done
    # shellcheck disable=SC2123 # of one folder where it was not set
    PATH={{ shims }}${PATH%:}
    ;;
esac
export PATH
# In an interactive shell one line says that calls of a login that has ended wait, once. (With `set -a` the variable
# would get into jobs.) It starts no program, and mostly looks into one folder. flush/sessions.py has the same rule.
sarray_reminder() {
    [ -z "${ZSH_VERSION-}" ] || emulate -L sh
    { [ -r /proc/self/stat ] && read -r sarray_host </proc/sys/kernel/hostname; } || return 0
{% include "state.sh" %}    for sarray_mark in "$sarray_state"/live/*; do
        # HOST.LEADER.START, as the hot path names a login; what has another name ends when its user says so.
        sarray_name=${sarray_mark##*/}
        sarray_start=${sarray_name##*.}
        sarray_leader=${sarray_name%.*}
        sarray_leader=${sarray_leader##*.}
        [ "$sarray_name" = "$sarray_host.$sarray_leader.$sarray_start" ] || continue
        case $sarray_start,$sarray_leader in
        0,* | ,* | *, | *[!0-9,]*) continue ;;
        esac
        if sarray_holds "$sarray_state/sessions/$sarray_name" && sarray_has_ended; then
            echo "sbatch-shim: calls of a login that has ended are not submitted:" \
                "sarray-flush --session $sarray_name (or sarray status)" >&3
            return 0
        fi
    done
}
sarray_holds() {
    # A queue without calls has four lines. Where the last that was done is a cancellation, it may have been of all calls.
    # shellcheck disable=SC3013 # -nt: dash, bash, zsh, ksh and busybox have it
    if [ -r "$1/queue" ] && ! [ "$1/dropped" -nt "$1/queue" ]; then
        sarray_lines=0
        while [ "$sarray_lines" != 5 ] && read -r sarray_line; do
            sarray_lines=$((sarray_lines + 1))
        done <"$1/queue"
        [ "$sarray_lines" != 5 ] || return 0
    fi
    for sarray_flush in "$1"/flushes/*; do # what Slurm did not take, or what a flush had when it was killed
        if [ -s "$sarray_flush/claimed" ] && ! [ -e "$sarray_flush/done" ]; then
            return 0
        fi
    done
    return 1
}
sarray_has_ended() {
    # While one of its processes lives (nohup), the leader's number is given to no other. Z and X: they have ended.
    if [ -r "/proc/$sarray_leader/stat" ] && read -r sarray_line <"/proc/$sarray_leader/stat"; then
        case " ${sarray_line##*) } " in
        " "[ZX]" "*) ;;
        *" $sarray_start "*) return 1 ;;
        *) return 0 ;;
        esac
    fi
    for sarray_process in /proc/[0-9]*; do
        if [ -O "$sarray_process" ] && read -r sarray_line <"$sarray_process/stat"; then
            sarray_line=${sarray_line##*) }
            case $sarray_line in
            [ZX]*) continue ;;
            esac
            sarray_line=${sarray_line#* * * } # state, parent, process group
            [ "${sarray_line%% *}" != "$sarray_leader" ] || return 1
        fi
    done
    return 0
}
case $- in
*a*) ;;
*i*)
    if [ "${sarray_reminded-}" != "$$" ]; then
        sarray_reminded=$$
        { sarray_reminder 3>&2 2>/dev/null || :; }
    fi
    ;;
esac
unset -f sarray_reminder sarray_holds sarray_has_ended
unset sarray_host sarray_state sarray_mark sarray_name sarray_start sarray_leader sarray_line sarray_lines \
    sarray_flush sarray_process
