package raftlog

import (
	"runtime"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"quorate.example/raft"
)

// zapLogger embeds nothing, so that zap's methods do not become part of what Zap returns.
type zapLogger struct {
	base  *zap.Logger
	plain *zap.SugaredLogger // base without the frame of the methods below
}

var _ raft.FieldLogger = (*zapLogger)(nil)

// Zap returns a logger that writes to l; nil means nowhere. Fatal and Panic do what l does there,
// which is to end the process and to panic unless it was built with other hooks.
func Zap(l *zap.Logger) raft.Logger {
	if l == nil {
		l = zap.NewNop()
	}
	return &zapLogger{base: l, plain: l.WithOptions(zap.AddCallerSkip(1)).Sugar()}
}

func zapLevel(level raft.LogLevel) zapcore.Level {
	switch {
	case level <= raft.LogDebug:
		return zapcore.DebugLevel
	case level == raft.LogInfo:
		return zapcore.InfoLevel
	case level == raft.LogWarning:
		return zapcore.WarnLevel
	default:
		return zapcore.ErrorLevel
	}
}

// Enabled reports whether lines of this level are written.
func (z *zapLogger) Enabled(level raft.LogLevel) bool {
	return z.base.Core().Enabled(zapLevel(level))
}

// Log writes msg with fields as fields of zap.
func (z *zapLogger) Log(level raft.LogLevel, skip int, msg string, fields ...raft.Field) {
	entry := z.base.Check(zapLevel(level), msg)
	if entry == nil {
		return
	}
	if entry.Caller.Defined {
		entry.Caller = zapcore.NewEntryCaller(runtime.Caller(1 + skip))
	}
	out := make([]zap.Field, len(fields))
	for i, f := range fields {
		out[i] = zapField(f)
	}
	entry.Write(out...)
}

func zapField(f raft.Field) zap.Field {
	switch f.Kind {
	case raft.FieldUint:
		return zap.Uint64(f.Key, f.Num)
	case raft.FieldBool:
		return zap.Bool(f.Key, f.Num != 0)
	case raft.FieldError:
		return zap.NamedError(f.Key, f.Err)
	default:
		return zap.String(f.Key, f.Value())
	}
}

func (z *zapLogger) Debug(v ...any)                   { z.plain.Debug(v...) }
func (z *zapLogger) Debugf(format string, v ...any)   { z.plain.Debugf(format, v...) }
func (z *zapLogger) Info(v ...any)                    { z.plain.Info(v...) }
func (z *zapLogger) Infof(format string, v ...any)    { z.plain.Infof(format, v...) }
func (z *zapLogger) Warning(v ...any)                 { z.plain.Warn(v...) }
func (z *zapLogger) Warningf(format string, v ...any) { z.plain.Warnf(format, v...) }
func (z *zapLogger) Error(v ...any)                   { z.plain.Error(v...) }
func (z *zapLogger) Errorf(format string, v ...any)   { z.plain.Errorf(format, v...) }
func (z *zapLogger) Fatal(v ...any)                   { z.plain.Fatal(v...) }
func (z *zapLogger) Fatalf(format string, v ...any)   { z.plain.Fatalf(format, v...) }
func (z *zapLogger) Panic(v ...any)                   { z.plain.Panic(v...) }
func (z *zapLogger) Panicf(format string, v ...any)   { z.plain.Panicf(format, v...) }
