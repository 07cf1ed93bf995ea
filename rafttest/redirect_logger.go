package rafttest

import (
	"fmt"
	"strings"

	"quorate.example/raft"
)

// The levels of a RedirectLogger in rising order; its Lvl is a position here.
// A line appears when its level is at least the logger's.
var logLevels = [...]string{"DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"}

const (
	levelDebug = iota
	levelInfo
	levelWarn
	levelError
	levelFatal
	levelNone
)

// RedirectLogger is a raft.Logger that writes into a string, beside what the
// commands of an InteractionEnv write. At level NONE it takes nothing at all,
// whoever writes.
type RedirectLogger struct {
	*strings.Builder
	Lvl int // 0 DEBUG, 1 INFO, 2 WARN, 3 ERROR, 4 FATAL, 5 NONE
}

var _ raft.Logger = (*RedirectLogger)(nil)

// Quiet reports whether everything written is thrown away.
func (l *RedirectLogger) Quiet() bool { return l.Lvl >= levelNone }

// Write appends p unless the logger is quiet. It never fails.
func (l *RedirectLogger) Write(p []byte) (int, error) {
	if l.Quiet() {
		return len(p), nil
	}
	return l.Builder.Write(p)
}

// WriteByte appends c unless the logger is quiet. It never fails.
func (l *RedirectLogger) WriteByte(c byte) error {
	if l.Quiet() {
		return nil
	}
	return l.Builder.WriteByte(c)
}

// WriteRune appends r unless the logger is quiet. It never fails.
func (l *RedirectLogger) WriteRune(r rune) (int, error) {
	if l.Quiet() {
		return 0, nil
	}
	return l.Builder.WriteRune(r)
}

// WriteString appends s unless the logger is quiet. It never fails.
func (l *RedirectLogger) WriteString(s string) (int, error) {
	if l.Quiet() {
		return len(s), nil
	}
	return l.Builder.WriteString(s)
}

func (l *RedirectLogger) line(level int, text string) {
	if level < l.Lvl {
		return
	}
	fmt.Fprintln(l, logLevels[level], strings.TrimSuffix(text, "\n"))
}

// Debug writes a line at level DEBUG.
func (l *RedirectLogger) Debug(v ...any) { l.line(levelDebug, fmt.Sprint(v...)) }

// Debugf writes a line at level DEBUG.
func (l *RedirectLogger) Debugf(format string, v ...any) {
	l.line(levelDebug, fmt.Sprintf(format, v...))
}

// Info writes a line at level INFO.
func (l *RedirectLogger) Info(v ...any) { l.line(levelInfo, fmt.Sprint(v...)) }

// Infof writes a line at level INFO.
func (l *RedirectLogger) Infof(format string, v ...any) {
	l.line(levelInfo, fmt.Sprintf(format, v...))
}

// Warning writes a line at level WARN.
func (l *RedirectLogger) Warning(v ...any) { l.line(levelWarn, fmt.Sprint(v...)) }

// Warningf writes a line at level WARN.
func (l *RedirectLogger) Warningf(format string, v ...any) {
	l.line(levelWarn, fmt.Sprintf(format, v...))
}

// Error writes a line at level ERROR.
func (l *RedirectLogger) Error(v ...any) { l.line(levelError, fmt.Sprint(v...)) }

// Errorf writes a line at level ERROR.
func (l *RedirectLogger) Errorf(format string, v ...any) {
	l.line(levelError, fmt.Sprintf(format, v...))
}

// Fatal writes a line at level FATAL and panics, so that a test sees where.
func (l *RedirectLogger) Fatal(v ...any) { l.Panic(v...) }

// Fatalf writes a line at level FATAL and panics, so that a test sees where.
func (l *RedirectLogger) Fatalf(format string, v ...any) { l.Panicf(format, v...) }

// Panic writes a line at level FATAL and panics with its text.
func (l *RedirectLogger) Panic(v ...any) {
	text := fmt.Sprint(v...)
	l.line(levelFatal, text)
	panic(text)
}

// Panicf writes a line at level FATAL and panics with its text.
func (l *RedirectLogger) Panicf(format string, v ...any) {
	l.Panic(fmt.Sprintf(format, v...))
}

// LogLevel sets from which level on lines appear: debug, info, warn, error,
// fatal, or none, at which the commands' own output goes too.
func (env *InteractionEnv) LogLevel(name string) error {
	for level, known := range logLevels {
		if strings.EqualFold(known, name) {
			env.Output.Lvl = level
			return nil
		}
	}
	return fmt.Errorf("unknown log level %q, want one of %s",
		name, strings.ToLower(strings.Join(logLevels[:], ", ")))
}

// nested runs f and indents what it writes by two spaces.
func (env *InteractionEnv) nested(f func() error) error {
	if env.Output.Quiet() {
		return f()
	}
	outer := env.Output.Builder
	inner := &strings.Builder{}
	env.Output.Builder = inner
	err := f()
	env.Output.Builder = outer

	text := strings.TrimSuffix(inner.String(), "\n")
	if text == "" {
		return err
	}
	for _, line := range strings.Split(text, "\n") {
		outer.WriteString("  " + line + "\n")
	}
	return err
}

// headed writes a heading, then what f writes, indented.
func (env *InteractionEnv) headed(id uint64, doing string, f func() error) error {
	fmt.Fprintf(env.Output, "> %d %s\n", id, doing)
	return env.nested(f)
}
