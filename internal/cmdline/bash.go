package cmdline

import (
	"io"
	"strings"
	"text/template"
)

// bash is the completion for bash. It needs no other package, and works in bash 3.2 as well. Bash breaks -c=FILE into three words.
var bash = template.Must(template.New("bash").Funcs(functions).Parse(`# bash completion for {{.Name}}; written by {{.Name}} completion bash
_{{.Name}}() {
	local IFS=$' \t\n'
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
	local command=${COMP_WORDS[1]} first=2 values= flags= files= takes= rest=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W '{{join .Words}}' -- "$current"))
		return
	fi
	case $command in
{{- range .Groups}}
	{{.Name}})
		if [ "$COMP_CWORD" -eq 2 ]; then
			COMPREPLY=($(compgen -W '{{join .Members}}' -- "$current"))
			return
		fi
		command="$command ${COMP_WORDS[2]}" first=3
		;;
{{- end}}
	esac
	case $command in
{{- range .Commands}}
	'{{.Name}}') values='{{join .Values}}' flags='{{flags . "all"}}' files=' {{flags . "file"}} ' takes=' {{flags . "value"}} '
		{{- if .Files}} rest=files{{end}} ;;
{{- end}}
	*) return ;;
	esac
	if [ "$current" = = ]; then
		current=
	elif [ "$previous" = = ]; then
		previous=${COMP_WORDS[COMP_CWORD-2]}
	fi
	previous=${previous/#--/-}
	if [[ $files == *" $previous "* ]]; then
		rest=files
	elif [[ $takes == *" $previous "* ]]; then
		return
	elif [ "$COMP_CWORD" -eq "$first" ] && [ -n "$values" ]; then
		rest= flags=$values
	elif [[ $current == -* ]] || [ -z "$rest" ]; then
		rest=
	fi
	if [ "$rest" = files ]; then
		IFS=$'\n'
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$current"))
	else
		COMPREPLY=($(compgen -W "$flags" -- "$current"))
	fi
}
complete -F _{{.Name}} {{.Name}}
`))

// functions are what the templates of completions call.
var functions = template.FuncMap{
	"join":  func(words []string) string { return strings.Join(words, " ") },
	"flags": flagWords,
}

// flagWords returns the flags of a command with their dashes: all, those whose value is a file, or those with another value.
func flagWords(c Command, which string) string {
	var words []string
	for _, f := range c.Flags {
		if which == "all" || which == "file" && f.File() || which == "value" && f.Value != "" && !f.File() {
			words = append(words, "-"+f.Name)
		}
	}
	return strings.Join(words, " ")
}

// A group is a word that begins the names of several commands.
type group struct {
	Name    string
	Members []string
}

// Groups returns the groups of commands.
func (p *Program) Groups() (all []group) {
	for _, w := range p.words() {
		if members := p.Group(w.name); members != nil {
			all = append(all, group{w.name, members})
		}
	}
	return all
}

// Words returns the first words of all commands.
func (p *Program) Words() (names []string) {
	for _, w := range p.words() {
		names = append(names, w.name)
	}
	return names
}

// WriteBash writes the completion for bash.
func (p *Program) WriteBash(w io.Writer) error { return bash.Execute(w, p) }
