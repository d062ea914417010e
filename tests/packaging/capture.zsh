# Prints what zsh would offer behind the words in $1, a line each; $2 is the folder of completions.
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1= PROMPT= ; fpath=($2 \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell 'compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
    typeset -a offered; builtin compadd -A offered "$@"
    local word; for word in $offered; do print -r -- "offered <$word>"; done
    builtin compadd "$@"
}'
zpty -w shell 'captured() { zle complete-word; print -r -- "offered all"; exit }'
zpty -w shell 'zstyle ":completion:*" insert-tab false; zle -N captured; bindkey "^I" captured; print rea""dy'
zpty -r -m shell text '*ready*'
zpty -n -w shell "$1"$'\t'
zpty -r -m shell text '*offered all*'
print -r -- $text
