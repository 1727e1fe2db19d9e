# complete.zsh FOLDER LINE: what zsh offers for LINE, one a line. FOLDER has the completion functions (_ds-train ...).
# An interactive zsh on a pseudo terminal is given the line and a tab; compadd says what it would offer, between two lines with a NUL.
# (The way of Valodim's zsh-capture-completion.)
zmodload zsh/zpty || exit 77
export DS_COMPLETIONS=$1
zpty z zsh -f -i
setopt rcquotes
() {
  zpty -w z source $1
  local line
  repeat 20; do
    zpty -r z line || exit 2
    [[ $line == ready* ]] && return
  done
  exit 2
} =(<<< '
PROMPT=
fpath=($DS_COMPLETIONS $fpath)
autoload -U compinit
compinit -u -D
bindkey ''^M'' undefined
bindkey ''^J'' undefined
bindkey ''^I'' complete-word
mark() { echo -E - $''\0'' }
compprefuncs=(mark)
comppostfuncs=(mark exit)
zstyle '':completion:*'' insert-tab false
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
    builtin compadd "$@"
    return $?
  fi
  typeset -a hits
  builtin compadd -A hits "$@"
  local hit
  for hit in $hits; do echo -E - $hit; done
  builtin compadd "$@"  # else completion goes on to the next kind of thing
}
echo ready')
zpty -w z "$2"$'\t'
integer marks=0
while zpty -r z line; do
  for word in ${(f)line}; do
    if [[ $word == *$'\0'* ]]; then
      ((marks++)) && exit 0
      continue
    fi
    ((marks)) && echo -E - ${word%$'\r'}
  done
done
exit 2
