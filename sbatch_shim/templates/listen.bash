# shellcheck shell=bash
# The rc file of `sarray listen` in bash.
# shellcheck disable=SC1090
[ -f ~/.bashrc ] && . ~/.bashrc
PATH=$SARRAY_LISTEN_PATH
unset SARRAY_LISTEN_PATH
sarray() {
    command sarray "$@" || return
    case $1 in submit | cancel) exit 0 ;; esac
}
PS1='\[\e[1;33m\][sarray]\[\e[0m\] '$PS1
