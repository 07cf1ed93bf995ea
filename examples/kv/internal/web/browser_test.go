package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/kvtest"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/web"
)

// Claim: the page of a leader shows all members and where they stand, goes on by itself, and a click
// makes another member the leader.
func TestClickTransfersLeadership(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	// The start of a browser may keep members from each other for so long that they elect another one.
	p := open(t, pageOf(t, c.Leader().URL), 1200, 900)
	p.waitFor(`document.querySelectorAll("#members tr").length === 3`)
	leader := c.Leader()
	atLeader := pageOf(t, leader.URL)
	t.Cleanup(atLeader.Close)
	p.do(chromedp.Navigate(atLeader.URL))

	p.waitFor(`document.querySelectorAll("#members tr").length === 3`)
	p.waitFor(`document.getElementById("state").textContent === "leader"`)
	p.waitFor(fmt.Sprintf(`document.getElementById("leader").textContent === "member %d"`, leader.ID))
	p.waitFor(`[...document.querySelectorAll('#members td[data-name=Match]')].every(x => x.textContent !== "")`)
	require.Equal(t, 2, p.number(`document.querySelectorAll("#members button").length`))

	before := p.number(`Number(document.getElementById("applied").textContent.replaceAll(",", ""))`)
	put(t, leader.URL+"/kv/a")
	p.waitFor(fmt.Sprintf(`Number(document.getElementById("applied").textContent.replaceAll(",", "")) > %d`, before))
	p.waitFor(`document.getElementById("spark").firstElementChild.getAttribute("points") !== ""`)
	p.screenshot("leader")

	next := leader.ID%3 + 1
	p.do(chromedp.Click(fmt.Sprintf(`#members tr[data-id="%d"] button`, next)))
	p.waitFor(fmt.Sprintf(`document.getElementById("message").textContent === "Member %d leads now."`, next))
	p.waitFor(fmt.Sprintf(`document.getElementById("leader").textContent === "member %d"`, next))
	require.Equal(t, next, c.Leader().ID)
	p.waitFor(`document.getElementById("state").textContent === "follower"`)
	p.screenshot("transferred")
}

// Claim: events, explanations and what is in flight are shown where a member gives them, as text whatever
// is in it; on a phone, in the dark, nothing is wider than the screen; a refusal is shown.
func TestPageOnAPhoneInTheDark(t *testing.T) {
	p := open(t, httptest.NewServer(web.Handler(cannedAPI())), 360, 740)
	p.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: "dark"},
	}))
	p.waitFor(`document.querySelectorAll("#events li").length === 2`)
	p.waitFor(`document.querySelector('tr[data-id="3"] [data-name="In flight"]') !== null`)
	require.Equal(t, `member 3 <img src=x onerror="document.title='pwned'"> is stuck`,
		p.text(`document.querySelector("#events li").lastChild.textContent`))
	require.Equal(t, "Member 3 needs a snapshot. It is being sent.", p.text(`document.getElementById("explain").textContent`))
	require.Equal(t, "12 messages, 1.5 MiB", p.text(`document.querySelector('tr[data-id="3"] [data-name="In flight"]').textContent`))
	require.Equal(t, "kv member 1", p.text(`document.title`))
	require.Equal(t, "rgb(18, 21, 26)", p.text(`getComputedStyle(document.body).backgroundColor`))
	require.LessOrEqual(t, p.number(`document.documentElement.scrollWidth`), 360)
	require.GreaterOrEqual(t, p.number(`document.querySelector("#members button").offsetHeight`), 44)
	p.screenshot("phone")

	p.do(chromedp.Click(`#members tr[data-id="2"] button`))
	p.waitFor(`document.getElementById("message").className === "bad"`)
	require.Contains(t, p.text(`document.getElementById("message").textContent`), "a transfer is under way")
	p.do(chromedp.ScrollIntoView("#members"))
	p.screenshot("phone-refused")
}

// cannedAPI is a leader with everything that a page can show.
func cannedAPI() http.Handler {
	mux := http.NewServeMux()
	answer := func(path string, code int, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		})
	}
	answer("/status", 200, `{"id":1,"leader":1,"state":"StateLeader","term":7,"commit":123456789,"applied":123456780,
		"revision":4711,"first_log":123400000,"last_log":123456789,"log_bytes":7340032,"snapshot":123450000,
		"progress":[
			{"id":1,"match":123456789,"next":123456790,"state":"replicate","active":true},
			{"id":2,"match":123456700,"next":123456790,"state":"replicate","active":true,"in_flight":3,"in_flight_bytes":900},
			{"id":3,"match":5,"next":6,"state":"StateSnapshot","active":false,"in_flight":12,"in_flight_bytes":1572864}],
		"explain":["Member 3 needs a snapshot.","It is being sent."],
		"events":[{"time":"2030-01-02T03:04:05Z","kind":"leader","reason":"election"},
			{"time":"2030-01-02T03:04:06Z","text":"member 3 <img src=x onerror=\"document.title='pwned'\"> is stuck"}]}`)
	answer("/members", 200, `{"members":[
		{"id":1,"address":"a-long-host-name.in-some-zone.example.org:9001","role":"voter","leader":true},
		{"id":2,"address":"127.0.0.1:9002","role":"voter"},
		{"id":3,"address":"127.0.0.1:9003","role":"learner"}]}`)
	answer("/leader", 409, `{"error":"a transfer is under way"}`)
	return mux
}

// pageOf serves the page in front of a member's API.
func pageOf(t *testing.T, member string) *httptest.Server {
	t.Helper()
	target, err := url.Parse(member)
	require.NoError(t, err)
	return httptest.NewServer(web.Handler(httputil.NewSingleHostReverseProxy(target)))
}

func put(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// page is an open page.
type page struct {
	t   *testing.T
	ctx context.Context
}

// open loads what a server serves in a headless browser.
func open(t *testing.T, server *httptest.Server, width, height int) *page {
	t.Helper()
	t.Cleanup(server.Close)
	browser := findBrowser(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	p := &page{t: t, ctx: ctx}
	p.do(chromedp.EmulateViewport(int64(width), int64(height)), chromedp.Navigate(server.URL))
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

// waitFor returns when a claim about the page holds.
func (p *page) waitFor(claim string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, kvtest.Patience)
	defer cancel()
	var held bool
	err := chromedp.Run(ctx, chromedp.Poll(claim, &held, chromedp.WithPollingTimeout(kvtest.Patience)))
	require.NoError(p.t, err, claim)
}

func (p *page) text(script string) (out string) {
	p.t.Helper()
	p.do(chromedp.Evaluate(script, &out))
	return out
}

func (p *page) number(script string) (out int) {
	p.t.Helper()
	p.do(chromedp.Evaluate(script, &out))
	return out
}

// screenshot takes a picture, and keeps it if QUORATE_SCREENSHOTS names a directory.
func (p *page) screenshot(name string) {
	p.t.Helper()
	var data []byte
	p.do(chromedp.FullScreenshot(&data, 100))
	if dir := os.Getenv("QUORATE_SCREENSHOTS"); dir != "" {
		require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644))
	}
}
