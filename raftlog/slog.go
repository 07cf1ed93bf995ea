package raftlog

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"quorate.example/raft"
)

// slogLogger writes records to the handler itself: slog's own methods would name this file as the
// place in the code.
type slogLogger struct {
	handler slog.Handler
	exit    func(code int)
}

var _ raft.FieldLogger = (*slogLogger)(nil)

// Slog returns a logger that writes to l; nil means slog.Default. Fatal ends the process and Panic
// panics, both after a line of level Error.
func Slog(l *slog.Logger) raft.Logger {
	if l == nil {
		l = slog.Default()
	}
	return &slogLogger{handler: l.Handler(), exit: os.Exit}
}

func slogLevel(level raft.LogLevel) slog.Level {
	switch {
	case level <= raft.LogDebug:
		return slog.LevelDebug
	case level == raft.LogInfo:
		return slog.LevelInfo
	case level == raft.LogWarning:
		return slog.LevelWarn
	default:
		return slog.LevelError
	}
}

// Enabled reports whether lines of this level are written.
func (s *slogLogger) Enabled(level raft.LogLevel) bool {
	return s.handler.Enabled(context.Background(), slogLevel(level))
}

// Log writes msg with fields as attributes.
func (s *slogLogger) Log(level raft.LogLevel, skip int, msg string, fields ...raft.Field) {
	if !s.Enabled(level) {
		return
	}
	attrs := make([]slog.Attr, len(fields))
	for i, f := range fields {
		attrs[i] = slogAttr(f)
	}
	s.record(level, 1+skip, msg, attrs)
}

// record writes a line; skip is the number of callers between record and the line of code to name.
// A handler's error has nowhere to go, as in slog itself.
func (s *slogLogger) record(level raft.LogLevel, skip int, msg string, attrs []slog.Attr) {
	var pc [1]uintptr
	runtime.Callers(2+skip, pc[:])
	r := slog.NewRecord(time.Now(), slogLevel(level), msg, pc[0])
	r.AddAttrs(attrs...)
	_ = s.handler.Handle(context.Background(), r)
}

func slogAttr(f raft.Field) slog.Attr {
	switch f.Kind {
	case raft.FieldUint:
		return slog.Uint64(f.Key, f.Num)
	case raft.FieldBool:
		return slog.Bool(f.Key, f.Num != 0)
	case raft.FieldError:
		return slog.Any(f.Key, f.Err)
	default:
		return slog.String(f.Key, f.Value())
	}
}

// print and printf are called by the methods of raft.Logger only, whose callers they name.
func (s *slogLogger) print(level raft.LogLevel, v []any) {
	if s.Enabled(level) {
		s.record(level, 2, fmt.Sprint(v...), nil)
	}
}

func (s *slogLogger) printf(level raft.LogLevel, format string, v []any) {
	if s.Enabled(level) {
		s.record(level, 2, fmt.Sprintf(format, v...), nil)
	}
}

func (s *slogLogger) Debug(v ...any)                   { s.print(raft.LogDebug, v) }
func (s *slogLogger) Debugf(format string, v ...any)   { s.printf(raft.LogDebug, format, v) }
func (s *slogLogger) Info(v ...any)                    { s.print(raft.LogInfo, v) }
func (s *slogLogger) Infof(format string, v ...any)    { s.printf(raft.LogInfo, format, v) }
func (s *slogLogger) Warning(v ...any)                 { s.print(raft.LogWarning, v) }
func (s *slogLogger) Warningf(format string, v ...any) { s.printf(raft.LogWarning, format, v) }
func (s *slogLogger) Error(v ...any)                   { s.print(raft.LogError, v) }
func (s *slogLogger) Errorf(format string, v ...any)   { s.printf(raft.LogError, format, v) }

func (s *slogLogger) Fatal(v ...any) {
	s.print(raft.LogError, v)
	s.exit(1)
}

func (s *slogLogger) Fatalf(format string, v ...any) {
	s.printf(raft.LogError, format, v)
	s.exit(1)
}

func (s *slogLogger) Panic(v ...any) {
	s.print(raft.LogError, v)
	panic(fmt.Sprint(v...))
}

func (s *slogLogger) Panicf(format string, v ...any) {
	s.printf(raft.LogError, format, v)
	panic(fmt.Sprintf(format, v...))
}
