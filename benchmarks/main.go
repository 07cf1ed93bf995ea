// Command benchmarks runs the same work on this library, on others and on a floor that does no more than
// it must, and prints how they compare. See docs/performance.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"quorate.example/raft/benchmarks/internal/report"
)

type options struct {
	rounds   int
	quick    bool
	workload string
	base     string
	only     string
	json     string
	from     string
	charts   string
	curves   bool
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 0, "how often each workload is run on each library (9; with -quick 2)")
	flag.BoolVar(&o.quick, "quick", false, "few operations and rounds: under a minute, and less exact")
	flag.StringVar(&o.workload, "workload", "", "only workloads whose name matches this regular expression")
	flag.StringVar(&o.base, "base", "v3.6.0", "the library that ratios are to")
	flag.StringVar(&o.only, "only", "", "only these libraries, separated by commas")
	flag.StringVar(&o.json, "json", "", "also write everything that was measured to this file")
	flag.StringVar(&o.from, "from", "", "measure nothing, but show what is in a file written with -json")
	flag.StringVar(&o.charts, "charts", "", "write charts (SVG) into this directory")
	flag.BoolVar(&o.curves, "curves", true, "also measure how the cost grows; with -quick only if told so")
	flag.Parse()
	if o.quick && !told("curves") {
		o.curves = false
	}
	if err := o.main(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// told reports whether the flag is on the command line.
func told(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

func (o *options) main() error {
	run, err := o.load()
	if err != nil {
		return err
	}
	if o.json != "" {
		if err := run.Save(o.json); err != nil {
			return err
		}
	}
	fmt.Print(report.Tables(run, rows()))
	if o.charts == "" {
		return nil
	}
	return draw(run, o.charts)
}

func (o *options) load() (*report.Run, error) {
	if o.from != "" {
		return report.Load(o.from)
	}
	match, err := regexp.Compile(o.workload)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "raft-benchmarks")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var only []string
	if o.only != "" {
		only = strings.Split(o.only, ",")
	}
	workers, err := buildAll(dir, only)
	if err != nil {
		return nil, err
	}
	if o.rounds == 0 {
		o.rounds = 9
		if o.quick {
			o.rounds = 2
		}
	}
	return o.measure(workers, match)
}

// job is one workload that is to be run.
type job struct {
	workload string
	n        int
	rounds   int
}

// jobs lists what is to be run, each workload once: the rows of the tables, and then the curves.
func (o *options) jobs(match *regexp.Regexp) (all []job) {
	seen := map[string]bool{}
	add := func(workload string, n, rounds int) {
		if !seen[workload] && match.MatchString(workload) {
			seen[workload] = true
			all = append(all, job{workload, n, rounds})
		}
	}
	for _, row := range rows() {
		n := row.N
		if o.quick {
			n = row.Quick
		}
		add(row.Workload, n, o.rounds)
	}
	if !o.curves {
		return all
	}
	for _, c := range curves() {
		for _, p := range c.Points {
			add(p.Workload, p.N, min(o.rounds, 3))
		}
	}
	return all
}

// measure runs the workloads. Libraries take turns within a round, and another one begins each time, so
// that none is always the first on a machine that is getting slower.
func (o *options) measure(workers []worker, match *regexp.Regexp) (*report.Run, error) {
	run := &report.Run{
		When: time.Now().Format("2006-01-02 15:04"), Machine: machine(), Rounds: o.rounds, Quick: o.quick, Base: o.base,
	}
	for _, w := range workers {
		run.Peers = append(run.Peers, w.name)
	}
	for _, j := range o.jobs(match) {
		for round := 0; round < j.rounds; round++ {
			for i := range workers {
				w := &workers[(i+round)%len(workers)]
				if !w.can(j.workload) {
					continue
				}
				progress("%s, round %d of %d: %s", j.workload, round+1, j.rounds, w.name)
				result, err := w.run(j.workload, j.n)
				if err != nil {
					return nil, err
				}
				run.Samples = append(run.Samples, report.Sample{Library: w.name, Round: round, Result: result})
			}
		}
	}
	progress("")
	return run, nil
}

// draw writes the charts of what was measured.
func draw(run *report.Run, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	charts := map[string]string{"peers": report.Bars(run, rows(), barRows())}
	for _, c := range curves() {
		charts[c.Name] = c.Draw(run)
	}
	for name, chart := range charts {
		if chart == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), []byte(chart), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// progress shows one line on a terminal, in place of the one before.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\033[K"+format, args...)
	}
}

func machine() string {
	name := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name"); ok {
			model, _, _ := strings.Cut(rest, "\n")
			name = strings.TrimLeft(model, "\t :")
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", name, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
