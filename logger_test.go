package raft

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// textLogger is a Logger that takes no fields, as hosts have them.
type textLogger struct {
	Logger
	lines []string
}

func (l *textLogger) add(level string, v []any) {
	l.lines = append(l.lines, level+" "+fmt.Sprint(v...))
}
func (l *textLogger) Debug(v ...any)   { l.add("debug", v) }
func (l *textLogger) Info(v ...any)    { l.add("info", v) }
func (l *textLogger) Warning(v ...any) { l.add("warning", v) }
func (l *textLogger) Error(v ...any)   { l.add("error", v) }

func loggerInto(out io.Writer) *DefaultLogger {
	return &DefaultLogger{Logger: log.New(out, "", log.Lshortfile)}
}

// lineAbove returns the place in the code one line above its caller, as log.Lshortfile writes it.
func lineAbove() string {
	_, file, line, _ := runtime.Caller(1)
	return filepath.Base(file) + ":" + strconv.Itoa(line-1)
}

func TestDefaultLoggerNamesTheCallersLineAndLevel(t *testing.T) {
	var out bytes.Buffer
	l := loggerInto(&out)
	l.EnableDebug()
	for _, tc := range []struct {
		level string
		print func(v ...any)
		write func(format string, v ...any)
	}{
		{"DEBUG", l.Debug, l.Debugf}, {"INFO", l.Info, l.Infof},
		{"WARN", l.Warning, l.Warningf}, {"ERROR", l.Error, l.Errorf},
	} {
		tc.print("one ", 2)
		require.Equal(t, lineAbove()+": "+tc.level+": one 2\n", out.String())
		out.Reset()
		tc.write("%x%%", 255)
		require.Equal(t, lineAbove()+": "+tc.level+": ff%\n", out.String())
		out.Reset()
	}
}

func TestDefaultLoggerLeavesDebugLinesOutUntilTold(t *testing.T) {
	var out bytes.Buffer
	l := loggerInto(&out)
	l.Debug("no")
	l.Debugf("no")
	l.Log(LogDebug, 0, "no")
	require.False(t, l.Enabled(LogDebug))
	require.True(t, l.Enabled(LogInfo))
	require.Empty(t, out.String())
	l.EnableDebug()
	l.Debug("yes")
	require.Contains(t, out.String(), "DEBUG: yes")
}

func TestTimestampsArePutBeforeEachLine(t *testing.T) {
	var out bytes.Buffer
	l := &DefaultLogger{Logger: log.New(&out, "", 0)}
	l.EnableTimestamps()
	l.Info("x")
	require.Regexp(t, `^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d INFO: x\n$`, out.String())
}

func TestPanicPanicsWithItsLine(t *testing.T) {
	var out bytes.Buffer
	l := loggerInto(&out)
	require.PanicsWithValue(t, "bad 1", func() { l.Panicf("bad %d", 1) })
	require.PanicsWithValue(t, "bad 2", func() { l.Panic("bad ", 2) })
	require.Contains(t, out.String(), "PANIC: bad 1")
}

func TestFatalEndsTheProcess(t *testing.T) {
	if format := os.Getenv("RAFT_TEST_FATAL"); format != "" {
		l := &DefaultLogger{Logger: log.New(os.Stdout, "", 0)}
		if format == "f" {
			l.Fatalf("gone %d", 1)
		}
		l.Fatal("gone ", 1)
	}
	for _, format := range []string{"f", "plain"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFatalEndsTheProcess$")
		cmd.Env = append(os.Environ(), "RAFT_TEST_FATAL="+format)
		out, err := cmd.Output()
		var exit *exec.ExitError
		require.True(t, errors.As(err, &exit), "%v", err)
		require.Equal(t, 1, exit.ExitCode())
		require.Equal(t, "FATAL: gone 1\n", string(out))
	}
}

func TestSetLoggerHoldsUntilReset(t *testing.T) {
	l := loggerInto(io.Discard)
	SetLogger(l)
	require.Same(t, l, getLogger())
	ResetDefaultLogger()
	require.NotSame(t, l, getLogger())
	require.IsType(t, &DefaultLogger{}, getLogger())
}

func TestMemberLogGivesFieldsToWhoTakesThem(t *testing.T) {
	var out bytes.Buffer
	l := memberLog{id: 0xab, logger: loggerInto(&out)}
	l.warn("steps down", logUint("term", 7), logText("role", "State Leader"), logBool("joint", true),
		logMember("lead", 0xcd), logErr(errors.New("lost")), logText("none", ""), logErr(nil))
	_, file, line, _ := runtime.Caller(0)
	require.Equal(t, filepath.Base(file)+":"+strconv.Itoa(line-2)+": WARN: steps down member=ab term=7 "+
		`role="State Leader" joint=true lead=cd error=lost none="" error=<nil>`+"\n", out.String())
}

func TestMemberLogWritesTextForOtherLoggers(t *testing.T) {
	plain := &textLogger{}
	l := memberLog{id: 1, logger: plain}
	l.debug("a", logUint("term", 7))
	l.info("b")
	l.warn("100%d")
	l.error("c", logErr(errors.New("bad thing")))
	require.Equal(t, []string{
		"debug a member=1 term=7", "info b member=1", "warning 100%d member=1",
		`error c member=1 error="bad thing"`,
	}, plain.lines)
	require.True(t, l.enabled(LogDebug))
}

func TestMemberLogCostsNothingWhereItsLevelIsOff(t *testing.T) {
	l := memberLog{id: 1, logger: DiscardLogger()}
	err := errors.New("lost")
	role := StateLeader.String()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		l.debug("msg", logUint("term", 1<<40), logText("role", role), logErr(err))
		l.error("msg", logMember("lead", 1<<40), logBool("joint", true))
	}))
	require.False(t, l.enabled(LogError))
}

func TestLogLevelsHaveNames(t *testing.T) {
	require.Equal(t, "DEBUG INFO WARN ERROR LEVEL(9)",
		fmt.Sprint(LogDebug, " ", LogInfo, " ", LogWarning, " ", LogError, " ", LogLevel(9)))
}
