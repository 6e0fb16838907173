package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configFile is a parsed --config file: the values by the name of their flag,
// after the names of the commands that they are for, all joined by "-".
//
//	state: /var/lib/daybook        # for every command with --state
//	run:
//	  until-caught-up: true        # for the command run alone
//
// Scalars remain text, so that 0123 is not read as an octal number and a date not as a time: the parser of the flag
// decides.
type configFile struct {
	values map[string]any
}

// loadFile reads a YAML file. A key that is not a flag of app, or that occurs twice, is an error: a misspelt
// setting must not go unnoticed.
func loadFile(r io.Reader, app *kong.Application) (kong.Resolver, error) {
	var document yaml.Node
	switch err := yaml.NewDecoder(r).Decode(&document); {
	case errors.Is(err, io.EOF):
		return &configFile{}, nil
	case err != nil:
		return nil, fmt.Errorf("read configuration file: %w", err)
	}
	f := &configFile{values: map[string]any{}}
	known := map[string]bool{}
	addKeys(known, nil, app.Node)
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return f, nil
	}
	if err := errors.Join(f.collect(known, nil, root)...); err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	return f, nil
}

// addKeys adds the keys under which a file may set the flags of n and of the
// commands below it.
func addKeys(known map[string]bool, path []string, n *kong.Node) {
	for _, flag := range n.Flags {
		if flag.Name == "help" || flag.Name == "version" || flag.Name == "config" {
			continue
		}
		known[flag.Name] = true
		known[strings.Join(append(slices.Clone(path), flag.Name), "-")] = true
	}
	for _, child := range n.Children {
		addKeys(known, append(slices.Clone(path), child.Name), child)
	}
}

// collect adds the members of a mapping at path and returns all faults.
func (f *configFile) collect(known map[string]bool, path []string, n *yaml.Node) (faults []error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return []error{fmt.Errorf("line %d: expected keys and values", n.Line)}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := append(slices.Clone(path), name.Value)
		key := strings.Join(at, "-")
		switch {
		case known[key]:
			if _, twice := f.values[key]; twice {
				faults = append(faults, fmt.Errorf("line %d: %s is set twice", name.Line, strings.Join(at, ".")))
			}
			f.values[key] = plain(value)
		case opens(known, key):
			faults = append(faults, f.collect(known, at, value)...)
		default:
			faults = append(faults, fmt.Errorf("line %d: unknown key %s", name.Line, strings.Join(at, ".")))
		}
	}
	return faults
}

// opens reports whether some known key continues after key.
func opens(known map[string]bool, key string) bool {
	for k := range known {
		if strings.HasPrefix(k, key+"-") {
			return true
		}
	}
	return false
}

// plain converts a YAML value for kong's parsers: text, a list or a map; nil for null.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return plain(n.Alias)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			list = append(list, plain(item))
		}
		return list
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return m
	default:
		if n.Tag == "!!null" {
			return nil
		}
		return n.Value
	}
}

// Validate does nothing: loadFile has checked the file against the grammar.
func (f *configFile) Validate(*kong.Application) error { return nil }

// Resolve returns the file's value of a flag. The section of the command has precedence over the top level, and the
// environment over the file.
func (f *configFile) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	path := []string{flag.Name}
	for n := parent.Node(); n != nil && n.Type != kong.ApplicationNode; n = n.Parent {
		path = append([]string{n.Name}, path...)
	}
	if v := f.values[strings.Join(path, "-")]; v != nil {
		return v, nil
	}
	if v := f.values[flag.Name]; v != nil {
		return v, nil
	}
	return nil, nil
}
