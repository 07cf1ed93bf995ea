package raft

import (
	"fmt"
	"io"
	"log"
	"os"
	"sync"
)

// Logger receives the log lines of members. Role changes, elections, configurations, snapshots and
// refusals are logged, nothing per message. Panic panics and Fatal ends the process; the library calls
// neither. Adapters for zap and log/slog are in package raftlog.
type Logger interface {
	Debug(v ...any)
	Debugf(format string, v ...any)
	Error(v ...any)
	Errorf(format string, v ...any)
	Info(v ...any)
	Infof(format string, v ...any)
	Warning(v ...any)
	Warningf(format string, v ...any)
	Fatal(v ...any)
	Fatalf(format string, v ...any)
	Panic(v ...any)
	Panicf(format string, v ...any)
}

var defaultLogger = struct {
	sync.RWMutex
	Logger
}{Logger: newDefaultLogger()}

func newDefaultLogger() Logger {
	return &DefaultLogger{Logger: log.New(os.Stderr, "raft ", 0)}
}

// SetLogger sets the logger of members that are created later without one of their own.
func SetLogger(l Logger) {
	defaultLogger.Lock()
	defer defaultLogger.Unlock()
	defaultLogger.Logger = l
}

// ResetDefaultLogger undoes SetLogger: lines go to standard error, debug lines nowhere.
func ResetDefaultLogger() { SetLogger(newDefaultLogger()) }

func getLogger() Logger {
	defaultLogger.RLock()
	defer defaultLogger.RUnlock()
	return defaultLogger.Logger
}

// DiscardLogger returns a logger that writes nothing.
func DiscardLogger() Logger { return discard }

// discard is one for all members. It has the methods of FieldLogger only, so that nobody can set it up to
// write.
var discard Logger = struct{ FieldLogger }{&DefaultLogger{Logger: log.New(io.Discard, "", 0)}}

// DefaultLogger writes lines with their level through a log.Logger of the standard library. Debug lines
// are left out until EnableDebug is called.
type DefaultLogger struct {
	*log.Logger
	debug bool
}

// callDepth is the distance from log.Logger.Output to whoever called a method of DefaultLogger.
const callDepth = 3

func (l *DefaultLogger) write(level, line string) { _ = l.Output(callDepth, level+": "+line) }

// EnableTimestamps puts date and time before each line.
func (l *DefaultLogger) EnableTimestamps() { l.SetFlags(l.Flags() | log.Ldate | log.Ltime) }

// EnableDebug writes debug lines too.
func (l *DefaultLogger) EnableDebug() { l.debug = true }

// Debug writes a debug line.
func (l *DefaultLogger) Debug(v ...any) {
	if l.debug {
		l.write("DEBUG", fmt.Sprint(v...))
	}
}

// Debugf writes a debug line.
func (l *DefaultLogger) Debugf(format string, v ...any) {
	if l.debug {
		l.write("DEBUG", fmt.Sprintf(format, v...))
	}
}

// Info writes a line about something normal.
func (l *DefaultLogger) Info(v ...any) { l.write("INFO", fmt.Sprint(v...)) }

// Infof writes a line about something normal.
func (l *DefaultLogger) Infof(format string, v ...any) { l.write("INFO", fmt.Sprintf(format, v...)) }

// Warning writes a line about something that should be looked at.
func (l *DefaultLogger) Warning(v ...any) { l.write("WARN", fmt.Sprint(v...)) }

// Warningf writes a line about something that should be looked at.
func (l *DefaultLogger) Warningf(format string, v ...any) {
	l.write("WARN", fmt.Sprintf(format, v...))
}

// Error writes a line about something that is wrong.
func (l *DefaultLogger) Error(v ...any) { l.write("ERROR", fmt.Sprint(v...)) }

// Errorf writes a line about something that is wrong.
func (l *DefaultLogger) Errorf(format string, v ...any) { l.write("ERROR", fmt.Sprintf(format, v...)) }

// Fatal writes a line and ends the process.
func (l *DefaultLogger) Fatal(v ...any) {
	l.write("FATAL", fmt.Sprint(v...))
	os.Exit(1)
}

// Fatalf writes a line and ends the process.
func (l *DefaultLogger) Fatalf(format string, v ...any) {
	l.write("FATAL", fmt.Sprintf(format, v...))
	os.Exit(1)
}

// Panic writes a line and panics with it.
func (l *DefaultLogger) Panic(v ...any) {
	line := fmt.Sprint(v...)
	l.write("PANIC", line)
	panic(line)
}

// Panicf writes a line and panics with it.
func (l *DefaultLogger) Panicf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.write("PANIC", line)
	panic(line)
}
