# sbatch-shim {{ version }}: a login that ends is asked about the calls that it leaves queued (written by install.sh or
# sarray install, which also remove it)
# ~/.bash_logout and ~/.zlogout source it; fish runs it, and says which process the login is. It starts a program only
# where a call of this login was queued and may not have ended. A session that was named ends when its user says so.
sarray_logout() {
    [ -z "${ZSH_VERSION-}" ] || emulate -L sh
    [ -z "${SARRAY_SESSION-}" ] && [ -t 0 ] && [ -t 2 ] || return 0
    { read -r sarray_host </proc/sys/kernel/hostname; } 2>/dev/null || return 0
{% include "state.sh" %}    for sarray_mark in "$sarray_state/live/$sarray_host.${sarray_login:-$$}".*; do
        if [ -e "$sarray_mark" ]; then
            {{ python }} -I -m sbatch_shim.verbs.logout
            return 0
        fi
    done
    return 0
}
sarray_logout
