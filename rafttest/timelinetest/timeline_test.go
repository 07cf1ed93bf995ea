// Package timelinetest looks at the simulator's timelines in a real browser.
package timelinetest

import (
	"bytes"
	"context"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/rafttest"
)

// A page shows what happened in the run: lanes, roles, messages of each kind,
// crashes, cuts, and the violation with a way to it.
func TestTimelineShowsTheRun(t *testing.T) {
	res := failingRun(t)
	page := open(t, res)

	var shown struct {
		Lanes, Spans, Cuts, Append, Heartbeat, Vote, Commit, Client, Life, Violation int
	}
	page.eval(`timeline.drawn`, &shown)
	require.Equal(t, res.Trace.Members, shown.Lanes)
	require.Greater(t, shown.Spans, shown.Lanes)
	require.Positive(t, shown.Cuts)
	for name, n := range map[string]int{
		"appends": shown.Append, "heartbeats": shown.Heartbeat, "votes": shown.Vote,
		"commit index": shown.Commit, "clients": shown.Client, "processes": shown.Life,
	} {
		require.Positive(t, n, name)
	}
	require.Equal(t, 1, shown.Violation)

	var verdict string
	page.do(chromedp.Text("#verdict", &verdict))
	require.Contains(t, verdict, string(res.Violation.Oracle))

	shot := page.screenshot("whole")
	for name, c := range map[string]color.RGBA{
		"a follower": {0xd9, 0xe6, 0xf5, 255}, "a leader": {0xa9, 0xdf, 0xb2, 255},
		"a stopped process": {0xe3, 0xe3, 0xe3, 255}, "the violation": {0xb3, 0x16, 0x1b, 255},
	} {
		require.Greater(t, count(t, shot, c), 20, "pixels of %s", name)
	}

	var view []float64
	page.do(chromedp.Click("#go"))
	page.eval(`timeline.view`, &view)
	require.Less(t, view[0], float64(res.Violation.Micros))
	require.Greater(t, view[1], float64(res.Violation.Micros))
	require.LessOrEqual(t, view[1]-view[0], 61e3)
	page.screenshot("violation")
}

// Members and kinds can be hidden, and hovering tells what is under the pointer.
func TestTimelineFiltersAndExplains(t *testing.T) {
	res := failingRun(t)
	page := open(t, res)

	var before, after int
	page.eval(`timeline.drawn.append`, &before)
	page.do(chromedp.Click("#kind-append"))
	page.eval(`timeline.drawn.append || 0`, &after)
	require.Zero(t, after)
	page.do(chromedp.Click("#kind-append"))
	page.eval(`timeline.drawn.append`, &after)
	require.Equal(t, before, after)

	page.do(chromedp.Click("#member-1"))
	page.eval(`timeline.drawn.lanes`, &after)
	require.Equal(t, res.Trace.Members-1, after)
	page.do(chromedp.Click("#member-1"))

	// Point at the middle of the arrow that is furthest from all others, with the real mouse.
	page.do(chromedp.Click("#go"))
	var at []float64
	page.eval(`(() => {
		const lines = timeline.hits.filter(h => h.line);
		const middle = h => [(h.line[0] + h.line[2]) / 2, (h.line[1] + h.line[3]) / 2];
		const distance = ([x, y], [x0, y0, x1, y1]) => {
			const dx = x1 - x0, dy = y1 - y0;
			const at = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1)));
			return Math.hypot(x - x0 - at * dx, y - y0 - at * dy);
		};
		const free = lines.filter(h => h.e.family === "append").map(h => {
			const m = middle(h);
			return { m, room: Math.min(...lines.filter(o => o !== h).map(o => distance(m, o.line))) };
		}).sort((a, b) => b.room - a.room)[0];
		const r = document.getElementById("canvas").getBoundingClientRect();
		return [r.left + free.m[0], r.top + free.m[1]]; })()`, &at)
	var tip string
	page.do(chromedp.MouseEvent("mouseMoved", at[0], at[1]), chromedp.Text("#tip", &tip))
	require.Regexp(t, `MsgApp|MsgProp`, tip)
	require.Contains(t, tip, "arrived")
	page.screenshot("hover")
}

// A timeline of more than 10,000 events stays usable: a redraw takes a fraction
// of a second.
func TestTimelineOfTenThousandEventsIsUsable(t *testing.T) {
	p := rafttest.Chaos()
	p.Ticks, p.Operations, p.Crashes, p.Partitions = 1500, 1200, 10, 10
	res := rafttest.Simulation{Seed: 5, Members: 5, Profile: p, Trace: true}.Run()
	require.Nil(t, res.Violation)
	require.Greater(t, len(res.Trace.Events), 10_000)
	page := open(t, res)
	var whole, zoomed float64
	page.eval(`(() => { const t = performance.now(); timeline.zoom(1); return performance.now() - t; })()`, &whole)
	page.eval(`(() => { timeline.zoom(.02); const t = performance.now(); timeline.zoom(.9); return performance.now() - t; })()`, &zoomed)
	t.Logf("%d records: whole run drawn in %.0f ms, a fiftieth in %.0f ms", len(res.Trace.Events), whole, zoomed)
	require.Less(t, whole, 10_000.0)
	require.Less(t, zoomed, 5_000.0)
	page.screenshot("large")
}

// failingRun returns a run of a host loop with a mistake, in which much happens.
func failingRun(t *testing.T) *rafttest.Result {
	t.Helper()
	p := rafttest.Chaos()
	p.Partitions, p.Crashes = 6, 8
	for seed := uint64(1); seed < 500; seed++ {
		res := rafttest.Simulation{
			Seed: seed, Profile: p, Trace: true,
			Config: func(_ uint64, cfg *raft.Config) { cfg.AsyncStorageWrites = false },
			Host:   func(uint64, *raft.Config) rafttest.Host { return &forgetfulHost{} },
		}.Run()
		kinds := map[rafttest.TraceKind]bool{}
		for _, e := range res.Trace.Events {
			kinds[e.Kind] = true
		}
		if res.Violation != nil && res.Events > 500 && kinds["cut"] && kinds["drop"] && res.Crashes > 1 {
			return res
		}
	}
	t.Fatal("no seed fails late enough")
	return nil
}

// forgetfulHost never installs snapshots.
type forgetfulHost struct{ saving bool }

func (h *forgetfulHost) Work(m *rafttest.Member) {
	for !h.saving && m.HasReady() {
		rd := m.Ready()
		b := rafttest.Write{Entries: rd.Entries, HardState: rd.HardState, Sync: true}
		if !raft.IsEmptySnap(rd.Snapshot) {
			b.Snapshot = &rd.Snapshot
		}
		h.saving = true
		m.Save(b, func(err error) {
			h.saving = false
			if err != nil {
				m.Fail(err)
				return
			}
			m.Send(rd.Messages...)
			m.Answer(rd.ReadStates)
			m.Apply(rd.CommittedEntries)
			m.Advance(rd)
		})
	}
}

// page is an open timeline.
type page struct {
	t   *testing.T
	ctx context.Context
}

// open writes the run's timeline and loads it in a headless browser.
func open(t *testing.T, res *rafttest.Result) *page {
	t.Helper()
	browser := findBrowser(t)
	path := filepath.Join(t.TempDir(), "timeline.html")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, res.WriteTimeline(f))
	require.NoError(t, f.Close())

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser),
		chromedp.NoSandbox, chromedp.WindowSize(1500, 850))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	p := &page{t: t, ctx: ctx}
	p.do(chromedp.Navigate("file://" + path))
	return p
}

// findBrowser returns the path of Chromium. Only CI must have one.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("CI needs chromium: apt-get install chromium")
	}
	t.Skip("no chromium here: apt-get install chromium")
	return ""
}

func (p *page) do(actions ...chromedp.Action) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Run(p.ctx, actions...))
}

func (p *page) eval(script string, into any) {
	p.t.Helper()
	p.do(chromedp.Evaluate(script, into))
}

// screenshot takes a picture, and keeps it if QUORATE_SCREENSHOTS names a
// directory.
func (p *page) screenshot(name string) []byte {
	p.t.Helper()
	var data []byte
	p.do(chromedp.CaptureScreenshot(&data))
	if dir := os.Getenv("QUORATE_SCREENSHOTS"); dir != "" {
		require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644))
	}
	return data
}

// count returns how many pixels of a picture have that colour.
func count(t *testing.T, picture []byte, want color.RGBA) int {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	n := 0
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			if color.RGBAModel.Convert(img.At(x, y)) == want {
				n++
			}
		}
	}
	return n
}
