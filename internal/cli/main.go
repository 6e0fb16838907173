package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/vbauerster/mpb/v8/cwriter"
)

// Context is the environment of a command. Kong passes it to the command's Run method.
type Context struct {
	context.Context // ends on SIGTERM or SIGINT; a second signal exits at once
	Stdout, Stderr  io.Writer
	Log             *slog.Logger
	Now             func() time.Time
	Interactive     bool // Stderr is a terminal
	Exact           bool // amounts are printed with all their digits

	console *console
}

// sharedFlags are the flags of every program.
type sharedFlags struct {
	Config    kong.ConfigFlag  `help:"YAML file with flags as keys; a command's name opens a section for it alone." env:"DAYBOOK_CONFIG" placeholder:"FILE" group:"Flags of all programs:"`
	LogFormat string           `help:"Form of the log on standard error: text or json." enum:"text,json" default:"text" env:"DAYBOOK_LOG_FORMAT" group:"Flags of all programs:"`
	LogLevel  string           `help:"Least level that is logged: debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"DAYBOOK_LOG_LEVEL" group:"Flags of all programs:"`
	Exact     bool             `help:"Print amounts with all their digits, not rounded to two decimal places. JSON output always has all digits." group:"Flags of all programs:"`
	Version   kong.VersionFlag `help:"Print the version and exit." group:"Flags of all programs:"`
}

// exited carries the exit code of --help and --version out of kong.
type exited int

// Main parses args by kong into grammar (a pointer to a struct of commands,
// each with `Run(*cli.Context) error`), runs the command and returns the exit
// code. A failed command prints one line on stderr: "NAME: cause; remedy".
// name is the program's, help its one-paragraph description.
func Main(name, help string, grammar any, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()

	narrowUmask()
	var shared sharedFlags
	var parser *kong.Kong
	parser, err := kong.New(grammar,
		kong.Name(name),
		kong.Description(help),
		kong.Embed(&shared),
		kong.Vars{"version": name + " " + Version()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.Help(func(o kong.HelpOptions, ctx *kong.Context) error {
			if err := kong.DefaultHelpPrinter(o, ctx); err != nil {
				return err
			}
			_, err := io.WriteString(ctx.Stdout, exitCodesHelp)
			return err
		}),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 100}),
		kong.Configuration(func(r io.Reader) (kong.Resolver, error) {
			return loadFile(r, parser.Model)
		}),
	)
	if err != nil {
		panic(fmt.Sprintf("grammar of %s: %v", name, err)) // a mistake in the program
	}

	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s; see %s --help\n", name, oneLine(err.Error()), selected(name, err))
		return ExitUsage
	}

	out := &console{w: stderr}
	c := &Context{
		Stdout:      stdout,
		Stderr:      out,
		Log:         newLogger(out, shared.LogFormat, shared.LogLevel),
		Now:         time.Now,
		Interactive: isTerminal(stderr),
		Exact:       shared.Exact,
		console:     out,
	}
	var stop func()
	c.Context, stop = untilSignal(c.Log)
	defer stop()

	if err := parsed.Run(c); err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", name, oneLine(err.Error()))
		return ExitCode(err)
	}
	return ExitDone
}

// Version is the version of the build: the module's, or the commit it was
// built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

// selected returns the command line up to the command whose parsing failed.
func selected(name string, err error) string {
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if node := p.Context.Selected(); node != nil {
			return node.FullPath()
		}
	}
	return name
}

// newLogger returns the logger of the program. Times are in UTC, as in all output.
func newLogger(w io.Writer, format, level string) *slog.Logger {
	o := &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 && a.Value.Kind() == slog.KindTime {
				a.Value = slog.TimeValue(a.Value.Time().UTC())
			}
			// Some errors contain stack traces, which slog would print.
			if err, ok := a.Value.Any().(error); ok {
				a.Value = slog.StringValue(oneLine(err.Error()))
			}
			return a
		},
	}
	// The enum in the tag of the flag admits only slog's names.
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(level))); err == nil {
		o.Level = l
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// untilSignal returns a context that the first SIGTERM or SIGINT cancels, so that the command can finish its current
// work. A second signal exits the process. stop restores the default handling of signals.
func untilSignal(log *slog.Logger) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for first := true; ; first = false {
			select {
			case s := <-signals:
				if !first {
					log.Warn("second signal: exiting at once", "signal", s.String())
					os.Exit(ExitError)
				}
				log.Info("stopping; a second signal exits at once", "signal", s.String())
				cancel(fmt.Errorf("stopped by signal: %s", s))
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		<-watched
		cancel(nil)
	}
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && cwriter.IsTerminal(int(f.Fd()))
}
