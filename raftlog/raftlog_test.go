package raftlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"quorate.example/raft"
)

// target is a logger of one of the two kinds and what it has written.
type target struct {
	log raft.FieldLogger
	out *bytes.Buffer
}

// targets returns one logger of each kind that writes JSON from level on.
func targets(level raft.LogLevel) map[string]target {
	var zapOut, slogOut bytes.Buffer
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		MessageKey: "msg", LevelKey: "level", CallerKey: "source",
		EncodeLevel: zapcore.CapitalLevelEncoder, EncodeCaller: zapcore.ShortCallerEncoder,
	})
	core := zapcore.NewCore(encoder, zapcore.AddSync(&zapOut), zapLevel(level))
	handler := slog.NewJSONHandler(&slogOut, &slog.HandlerOptions{
		AddSource: true, Level: slogLevel(level), ReplaceAttr: shortSource,
	})
	return map[string]target{
		"zap":  {Zap(zap.New(core, zap.AddCaller())).(raft.FieldLogger), &zapOut},
		"slog": {Slog(slog.New(handler)).(raft.FieldLogger), &slogOut},
	}
}

// shortSource writes the place in the code as zap does.
func shortSource(_ []string, a slog.Attr) slog.Attr {
	if src, ok := a.Value.Any().(*slog.Source); ok {
		dir, file := filepath.Split(src.File)
		a.Value = slog.StringValue(filepath.Base(dir) + "/" + file + ":" + strconv.Itoa(src.Line))
	}
	return a
}

// line returns the one line that was written.
func (w target) line(t *testing.T) map[string]any {
	t.Helper()
	line := map[string]any{}
	require.NoError(t, json.Unmarshal(w.out.Bytes(), &line), w.out)
	delete(line, "time")
	w.out.Reset()
	return line
}

// here returns the place in the code that called it, n lines before.
func here(n int) string {
	_, file, line, _ := runtime.Caller(1)
	return "raftlog/" + filepath.Base(file) + ":" + strconv.Itoa(line-n)
}

func TestFieldsKeepTheirTypes(t *testing.T) {
	for name, w := range targets(raft.LogDebug) {
		w.log.Log(raft.LogWarning, 0, "msg with %d", []raft.Field{
			{Key: "term", Kind: raft.FieldUint, Num: 7},
			{Key: "member", Kind: raft.FieldMember, Num: 0xab},
			{Key: "joint", Kind: raft.FieldBool, Num: 1},
			{Key: "role", Kind: raft.FieldText, Text: "StateLeader"},
			{Key: "error", Kind: raft.FieldError, Err: errors.New("broken")},
		}...)
		want := map[string]any{
			"level": "WARN", "msg": "msg with %d", "source": here(8),
			"term": 7.0, "member": "ab", "joint": true, "role": "StateLeader", "error": "broken",
		}
		require.Equal(t, want, w.line(t), name)
	}
}

func TestLinesNameTheCallersLineAndLevel(t *testing.T) {
	for name, w := range targets(raft.LogDebug) {
		for _, tc := range []struct {
			level string
			print func(v ...any)
			write func(format string, v ...any)
		}{
			{"DEBUG", w.log.Debug, w.log.Debugf},
			{"INFO", w.log.Info, w.log.Infof},
			{"WARN", w.log.Warning, w.log.Warningf},
			{"ERROR", w.log.Error, w.log.Errorf},
		} {
			tc.write("%x at %d", 255, 3)
			require.Equal(t, map[string]any{"level": tc.level, "msg": "ff at 3", "source": here(1)}, w.line(t), name)
			tc.print("one ", 2)
			require.Equal(t, map[string]any{"level": tc.level, "msg": "one 2", "source": here(1)}, w.line(t), name)
		}
	}
}

func TestSkipNamesTheCallersCaller(t *testing.T) {
	for name, w := range targets(raft.LogDebug) {
		helper := func() { w.log.Log(raft.LogInfo, 1, "msg") }
		helper()
		require.Equal(t, here(1), w.line(t)["source"], name)
	}
}

func TestLevelsThatAreOffWriteNothingAndCostNoAllocation(t *testing.T) {
	args := []any{1 << 20, "text"}
	fields := []raft.Field{{Key: "term", Num: 1}}
	for name, w := range targets(raft.LogError) {
		require.False(t, w.log.Enabled(raft.LogWarning), name)
		require.True(t, w.log.Enabled(raft.LogError), name)
		allocs := testing.AllocsPerRun(100, func() {
			w.log.Debugf("%d %s", args...)
			w.log.Infof("%d %s", args...)
			w.log.Warningf("%d %s", args...)
			w.log.Debug(args...)
			w.log.Info(args...)
			w.log.Warning(args...)
			w.log.Log(raft.LogInfo, 0, "msg", fields...)
		})
		require.Zero(t, allocs, name)
		require.Empty(t, w.out.String(), name)
	}
}

func TestPanicPanicsAfterItsLine(t *testing.T) {
	for name, w := range targets(raft.LogDebug) {
		require.PanicsWithValue(t, "bad 1", func() { w.log.Panicf("bad %d", 1) }, name)
		require.Equal(t, "bad 1", w.line(t)["msg"], name)
		require.PanicsWithValue(t, "bad", func() { w.log.Panic("bad") }, name)
		require.Equal(t, "bad", w.line(t)["msg"], name)
	}
}

func TestSlogFatalExitsAfterItsLine(t *testing.T) {
	w := targets(raft.LogDebug)["slog"]
	var codes []int
	w.log.(*slogLogger).exit = func(code int) { codes = append(codes, code) }
	w.log.Fatal("gone")
	require.Equal(t, "gone", w.line(t)["msg"])
	w.log.Fatalf("gone %d", 2)
	require.Equal(t, "gone 2", w.line(t)["msg"])
	require.Equal(t, []int{1, 1}, codes)
}

func TestZapFatalRunsTheHookOfTheLogger(t *testing.T) {
	var out bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"}),
		zapcore.AddSync(&out), zapcore.DebugLevel)
	log := Zap(zap.New(core, zap.WithFatalHook(zapcore.WriteThenPanic)))
	require.Panics(t, func() { log.Fatal("gone") })
	require.Panics(t, func() { log.Fatalf("gone %d", 2) })
	require.Equal(t, `{"msg":"gone"}`+"\n"+`{"msg":"gone 2"}`+"\n", out.String())
}

func TestNilLoggersAreTheNopAndTheDefaultOne(t *testing.T) {
	Zap(nil).Errorf("nowhere")

	var out bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	Slog(nil).Errorf("there")
	require.Contains(t, out.String(), "msg=there")
}

// What a member logs arrives with the member's ID and a place in package raft.
func TestMembersLogThroughTheAdapters(t *testing.T) {
	for name, w := range targets(raft.LogDebug) {
		_, err := raft.NewRawNode(&raft.Config{
			ID: 0xab, ElectionTick: 10, HeartbeatTick: 1, Storage: raft.NewMemoryStorage(),
			MaxSizePerMsg: 1024, MaxInflightMsgs: 16, Logger: w.log,
		})
		require.NoError(t, err)
		first := map[string]any{}
		require.NoError(t, json.NewDecoder(io.LimitReader(w.out, 1<<16)).Decode(&first), name)
		require.Contains(t, first["source"], ".go:", name)
		require.False(t, strings.Contains(first["source"].(string), "logger"), "%s: %v", name, first)
	}
}
