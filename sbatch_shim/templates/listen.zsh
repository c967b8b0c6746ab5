# The .zshrc of `sarray listen` in zsh.
ZDOTDIR=$SARRAY_ZDOTDIR
unset SARRAY_ZDOTDIR
[ -n "$ZDOTDIR" ] || unset ZDOTDIR
[ -f "${ZDOTDIR:-$HOME}/.zshrc" ] && . "${ZDOTDIR:-$HOME}/.zshrc"
PATH=$SARRAY_LISTEN_PATH
unset SARRAY_LISTEN_PATH
sarray() {
    command sarray "$@" || return
    case $1 in submit | cancel) exit 0 ;; esac
}
PROMPT='%B%F{yellow}[sarray]%f%b '$PROMPT
