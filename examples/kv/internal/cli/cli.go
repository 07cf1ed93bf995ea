// Package cli is the kv commands for people: everything that a running cluster can be asked.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"quorate.example/raft/examples/kv/internal/client"
	"quorate.example/raft/examples/kv/internal/tlsconf"
)

// The exit codes of the commands. kv lock NAME -- COMMAND ends with that of COMMAND.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitConflict    = 4
	ExitUnavailable = 5
	ExitUnknown     = 6
	ExitLockLost    = 7
)

// ExitCodes explains them.
const ExitCodes = `exit codes:
  0  done
  1  failed for a reason that has no code of its own
  2  wrong usage
  3  there is no such key, lease, lock or member
  4  the condition did not hold: another revision, a lock that somebody else holds, a change that does not fit
  5  no member answered in time; nothing was changed
  6  the change may or may not have been made: read before you repeat it
  7  the lock was lost while the command ran
`

// Streams are what a command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// command is one of the commands. Its name may have two words.
type command struct {
	name  string
	args  string // what follows it
	short string
	long  string
	// local commands do not talk to a cluster.
	local bool
	flags func(*flag.FlagSet, *call)
	run   func(context.Context, *call) error
}

// call is one use of a command.
type call struct {
	Streams
	flags  *flag.FlagSet
	args   []string
	rest   []string // after --
	client *client.Client

	endpoints string
	timeout   time.Duration
	format    string
	tls       tlsconf.Files
	o         options
}

// options are the flags that only some commands have.
type options struct {
	stale, values, once, list, force  bool
	revision, lease, id               uint64
	limit, count, members             int
	prefix, file, data, cluster, boot string
	hosts, who                        string
	ttl, wait, validity               time.Duration
}

func commands() []command {
	return slices.Concat(keyCommands(), leaseCommands(), memberCommands(), snapshotCommands(), certCommands())
}

// Usage lists all commands, a line each.
func Usage() string {
	var b strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-44s %s\n", strings.TrimSpace("kv "+c.name+" "+c.args), c.short)
	}
	return b.String()
}

// Knows reports whether name is the first word of a command.
func Knows(name string) bool {
	return slices.ContainsFunc(commands(), func(c command) bool {
		first, _, _ := strings.Cut(c.name, " ")
		return first == name
	})
}

// Run carries out a command line without the program's name and returns the exit code.
func Run(ctx context.Context, args []string, streams Streams) int {
	c, rest, ok := find(args)
	if !ok {
		fmt.Fprintf(streams.Err, "kv: no such command; there are:\n%s", group(args))
		return ExitUsage
	}
	err := c.call(ctx, rest, streams)
	if err != nil && !errors.Is(err, flag.ErrHelp) && !errors.Is(err, errShown) {
		var child *exec.ExitError
		if !errors.As(err, &child) {
			fmt.Fprintf(streams.Err, "kv %s: %v\n", c.name, err)
		}
	}
	return exitCode(err)
}

func find(args []string) (command, []string, bool) {
	for words := 2; words >= 1; words-- {
		if len(args) < words {
			continue
		}
		name := strings.Join(args[:words], " ")
		for _, c := range commands() {
			if c.name == name {
				return c, args[words:], true
			}
		}
	}
	return command{}, nil, false
}

// group lists the commands that share their first word with the one that was wanted.
func group(args []string) string {
	var b strings.Builder
	for line := range strings.Lines(Usage()) {
		if strings.HasPrefix(line, "  kv "+args[0]+" ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// errShown says that the flag package has told the user what is wrong.
var errShown = errors.New("wrong usage")

// usageError is a mistake in the arguments.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

func (c command) call(ctx context.Context, args []string, streams Streams) error {
	x := &call{Streams: streams, flags: flag.NewFlagSet(c.name, flag.ContinueOnError)}
	x.flags.SetOutput(streams.Err)
	x.flags.StringVar(&x.format, "o", "table", "`format` of the output: table or json")
	if !c.local {
		x.connectionFlags()
	}
	if c.flags != nil {
		c.flags(x.flags, x)
	}
	x.flags.Usage = func() { c.help(x.flags) }
	if err := x.parse(args); err != nil {
		return err
	}
	if x.format != "table" && x.format != "json" {
		return usage("-o %s: want table or json", x.format)
	}
	if !c.local {
		identity, err := x.tls.Load()
		if err != nil {
			return usage("%v", err)
		}
		config := client.Config{Endpoints: strings.Split(x.endpoints, ","), Timeout: x.timeout}
		if identity != nil {
			config.TLS = identity.ToMember()
		}
		x.client = client.New(config)
		defer x.client.Close()
	}
	return c.run(ctx, x)
}

func (x *call) connectionFlags() {
	x.flags.StringVar(&x.endpoints, "endpoints", env("KV_ENDPOINTS", "127.0.0.1:8001"),
		"HTTP `addresses` of members, with commas (or KV_ENDPOINTS)")
	x.flags.DurationVar(&x.timeout, "timeout", 5*time.Second, "`time` for one request, over all members")
	x.flags.StringVar(&x.tls.CA, "ca", env("KV_CA", ""), "PEM `file` of the authority: turns on TLS (or KV_CA)")
	x.flags.StringVar(&x.tls.Cert, "cert", env("KV_CERT", ""), "PEM `file` of the client's certificate (or KV_CERT)")
	x.flags.StringVar(&x.tls.Key, "key", env("KV_KEY", ""), "PEM `file` of its key (or KV_KEY)")
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// parse reads flags wherever they stand before a "--".
func (x *call) parse(args []string) error {
	if i := slices.Index(args, "--"); i >= 0 {
		args, x.rest = args[:i], args[i+1:]
	}
	for {
		if err := x.flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return fmt.Errorf("%w: %w", errShown, usageError{err.Error()})
		}
		if args = x.flags.Args(); len(args) == 0 {
			return x.check()
		}
		x.args, args = append(x.args, args[0]), args[1:]
	}
}

func (x *call) check() error {
	if x.timeout < 0 || x.timeout > time.Minute {
		return usage("-timeout: want up to %v", time.Minute)
	}
	return nil
}

func (c command) help(flags *flag.FlagSet) {
	out := flags.Output()
	fmt.Fprintf(out, "usage: kv %s %s\n\n%s.\n", c.name, c.args, c.short)
	if c.long != "" {
		fmt.Fprintf(out, "\n%s\n", c.long)
	}
	fmt.Fprint(out, "\nflags:\n")
	flags.PrintDefaults()
	fmt.Fprint(out, "\n", ExitCodes)
}

// words returns the arguments, those after -- included, if there are as many as wanted.
func (x *call) words(least, most int) ([]string, error) {
	all := slices.Concat(x.args, x.rest)
	if len(all) < least || len(all) > most {
		return nil, usage("wrong number of arguments: kv %s -h tells which", x.flags.Name())
	}
	return all, nil
}

func exitCode(err error) int {
	var problem *client.StatusError
	var wrong usageError
	var child *exec.ExitError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ExitOK
	case errors.Is(err, errLockLost):
		return ExitLockLost
	case errors.As(err, &child):
		return max(child.ExitCode(), ExitFailed)
	case errors.As(err, &wrong):
		return ExitUsage
	case errors.Is(err, client.ErrUnknown):
		return ExitUnknown
	case errors.Is(err, client.ErrUnavailable):
		return ExitUnavailable
	case errors.Is(err, errConflict):
		return ExitConflict
	case errors.As(err, &problem) && problem.Code == 404:
		return ExitNotFound
	case errors.As(err, &problem) && problem.Code == 409:
		return ExitConflict
	case errors.As(err, &problem) && problem.Code == 400:
		return ExitUsage
	}
	return ExitFailed
}
