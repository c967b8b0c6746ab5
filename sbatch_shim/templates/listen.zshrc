# The .zshrc of `sarray listen` in zsh.
ZDOTDIR=$SARRAY_ZDOTDIR
unset SARRAY_ZDOTDIR
[ -n "$ZDOTDIR" ] || unset ZDOTDIR
[ -f "${ZDOTDIR:-$HOME}/.zshrc" ] && . "${ZDOTDIR:-$HOME}/.zshrc"
PATH=$SARRAY_LISTEN_PATH
unset SARRAY_LISTEN_PATH
sarray() {
    command sarray "$@" || return
    [ ! -e "$SARRAY_LISTEN/ended" ] || exit 0
}
# Before each prompt: many themes write it anew.
sarray_prompt() {
    [[ $PROMPT == *'[sarray]'* ]] || PROMPT='%B%F{yellow}[sarray]%f%b '$PROMPT
}
precmd_functions+=(sarray_prompt)
