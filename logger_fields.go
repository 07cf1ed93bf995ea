package raft

import (
	"io"
	"strconv"
	"strings"
)

// LogLevel is how much a log line matters.
type LogLevel int8

// The levels in rising order.
const (
	LogDebug LogLevel = iota
	LogInfo
	LogWarning
	LogError
)

// String returns the level as [DefaultLogger] writes it, such as WARN.
func (l LogLevel) String() string {
	switch l {
	case LogDebug:
		return "DEBUG"
	case LogInfo:
		return "INFO"
	case LogWarning:
		return "WARN"
	case LogError:
		return "ERROR"
	}
	return "LEVEL(" + strconv.Itoa(int(l)) + ")"
}

// FieldLogger is a [Logger] that takes typed fields and can say in advance what it leaves out. A
// member whose Logger is one logs through these two methods alone, and a level that is off costs it
// no allocation. [DefaultLogger] and the adapters in package raftlog are FieldLoggers; any other
// Logger gets the fields as text.
type FieldLogger interface {
	Logger
	// Enabled reports whether lines of this level are written.
	Enabled(level LogLevel) bool
	// Log writes msg with fields, which it may keep. skip is the number of callers between Log and
	// the line of code to name: 0 names who called Log.
	Log(level LogLevel, skip int, msg string, fields ...Field)
}

// FieldKind says which member of a [Field] holds its value.
type FieldKind uint8

// The kinds of values.
const (
	FieldUint   FieldKind = iota // Num
	FieldMember                  // Num, the ID of a member, for people in hexadecimal
	FieldBool                    // Num, which is 1 for true
	FieldText                    // Text
	FieldError                   // Err
)

// Field is one named value of a log line. It is a plain value, so that making one allocates nothing.
type Field struct {
	Key  string
	Kind FieldKind
	Num  uint64
	Text string
	Err  error
}

// String returns f as "key=value", with the value quoted where it has spaces.
func (f Field) String() string {
	value := f.Value()
	if value == "" || strings.ContainsAny(value, " \t\n\"=") {
		value = strconv.Quote(value)
	}
	return f.Key + "=" + value
}

// Value returns the value of f as text.
func (f Field) Value() string {
	switch f.Kind {
	case FieldMember:
		return strconv.FormatUint(f.Num, 16)
	case FieldBool:
		return strconv.FormatBool(f.Num != 0)
	case FieldText:
		return f.Text
	case FieldError:
		if f.Err == nil {
			return "<nil>"
		}
		return f.Err.Error()
	default:
		return strconv.FormatUint(f.Num, 10)
	}
}

func logUint(key string, v uint64) Field { return Field{Key: key, Kind: FieldUint, Num: v} }

func logMember(key string, id uint64) Field { return Field{Key: key, Kind: FieldMember, Num: id} }

func logText(key, v string) Field { return Field{Key: key, Kind: FieldText, Text: v} }

func logErr(err error) Field { return Field{Key: "error", Kind: FieldError, Err: err} }

func logBool(key string, v bool) Field {
	f := Field{Key: key, Kind: FieldBool}
	if v {
		f.Num = 1
	}
	return f
}

// memberLog writes the lines of one member, each with the member's ID.
type memberLog struct {
	id     uint64
	logger Logger
}

// enabled reports whether a line of this level may be written. Ask before making a field that costs.
func (l *memberLog) enabled(level LogLevel) bool {
	fields, ok := l.logger.(FieldLogger)
	return !ok || fields.Enabled(level)
}

func (l *memberLog) debug(msg string, fields ...Field) { l.write(LogDebug, msg, fields) }
func (l *memberLog) info(msg string, fields ...Field)  { l.write(LogInfo, msg, fields) }
func (l *memberLog) warn(msg string, fields ...Field)  { l.write(LogWarning, msg, fields) }
func (l *memberLog) error(msg string, fields ...Field) { l.write(LogError, msg, fields) }

// write is called by debug to error only, which callerSkip counts on.
func (l *memberLog) write(level LogLevel, msg string, fields []Field) {
	const callerSkip = 2
	if !l.enabled(level) {
		return
	}
	// A copy, because what goes to an interface moves to the heap: so the caller's fields need not.
	all := append([]Field{logMember("member", l.id)}, fields...)
	if takes, ok := l.logger.(FieldLogger); ok {
		takes.Log(level, callerSkip, msg, all...)
		return
	}
	line := lineWithFields(msg, all)
	switch level {
	case LogDebug:
		l.logger.Debug(line)
	case LogInfo:
		l.logger.Info(line)
	case LogWarning:
		l.logger.Warning(line)
	default:
		l.logger.Error(line)
	}
}

// lineWithFields returns "msg key=value key=value".
func lineWithFields(msg string, fields []Field) string {
	var line strings.Builder
	line.WriteString(msg)
	for _, f := range fields {
		line.WriteByte(' ')
		line.WriteString(f.String())
	}
	return line.String()
}

var _ FieldLogger = (*DefaultLogger)(nil)

// Enabled reports whether lines of this level are written: debug lines after EnableDebug only, and
// none at all to io.Discard.
func (l *DefaultLogger) Enabled(level LogLevel) bool {
	return (level > LogDebug || l.debug) && l.Writer() != io.Discard
}

// Log writes msg and fields as one line: "INFO: msg key=value".
func (l *DefaultLogger) Log(level LogLevel, skip int, msg string, fields ...Field) {
	const own = 2 // Output counts itself and Log
	if l.Enabled(level) {
		_ = l.Output(own+skip, level.String()+": "+lineWithFields(msg, fields))
	}
}
