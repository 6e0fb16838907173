// Package cli has the parts that the four programs share as commands: parsing of flags, environment and YAML into the
// configuration structs of the packages, logging, signals, exit codes, tables and progress. It has no domain knowledge,
// and it is the only package that imports kong.
//
// A program is a struct of commands. Each command is a struct whose fields are
// flags, with a method `Run(*cli.Context) error`; a configuration struct of
// another package is embedded with `embed:""`, and its `Validate() error` is
// called before Run. A value comes from the first of: the flag, the
// environment variable, the file that --config names, the default in the tag.
package cli
