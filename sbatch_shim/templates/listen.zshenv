# The .zshenv of `sarray listen` in zsh: the user's own, which may choose another ZDOTDIR.
SARRAY_OWN=$ZDOTDIR
ZDOTDIR=$SARRAY_ZDOTDIR
[ -n "$ZDOTDIR" ] || unset ZDOTDIR
[ -f "${ZDOTDIR:-$HOME}/.zshenv" ] && . "${ZDOTDIR:-$HOME}/.zshenv"
SARRAY_ZDOTDIR=${ZDOTDIR-}
ZDOTDIR=$SARRAY_OWN
unset SARRAY_OWN
