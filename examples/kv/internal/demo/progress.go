package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress shows how far the writing is: a bar on a terminal, else a line for each tenth.
type progress struct {
	out      io.Writer
	terminal bool
	files    int
	bytes    int64
	begin    time.Time

	mu        sync.Mutex
	doneFiles int
	doneBytes int64
	tenths    int
	drawn     time.Time
}

const barWidth = 30

func newProgress(out io.Writer, terminal bool, files int, bytes int64) *progress {
	return &progress{out: out, terminal: terminal, files: files, bytes: bytes, begin: time.Now()}
}

// add counts an acknowledged part.
func (p *progress) add(x *part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doneBytes += int64(x.size)
	if x.last {
		p.doneFiles++
	}
	if p.terminal {
		if time.Since(p.drawn) > 100*time.Millisecond {
			p.draw()
		}
		return
	}
	if tenths := 10 * p.doneFiles / p.files; tenths > p.tenths {
		p.tenths = tenths
		fmt.Fprintln(p.out, p.line())
	}
}

// say prints a line of its own.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.draw()
		fmt.Fprintln(p.out)
	}
}

func (p *progress) draw() {
	p.drawn = time.Now()
	full := barWidth * p.doneFiles / p.files
	fmt.Fprintf(p.out, "\r[%s%s] %s\x1b[K", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), p.line())
}

func (p *progress) line() string {
	return fmt.Sprintf("%3d%%  %d of %d files, %s of %s, %.1f MB/s", 100*p.doneFiles/p.files, p.doneFiles,
		p.files, megabytes(p.doneBytes), megabytes(p.bytes),
		float64(p.doneBytes)/1e6/max(time.Since(p.begin).Seconds(), 0.001))
}
