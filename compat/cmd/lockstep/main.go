// Command lockstep compares this library with go.etcd.io/raft v3.6.0: random schedules drive a
// cluster of each, and everything that a host can see is compared after each operation. It exits with 1 when it
// finds a difference, after shrinking it.
//
//	go run ./cmd/lockstep -ops 1000000 -seed 1
//	go run ./cmd/lockstep -ops 1000000 -default
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"quorate.example/raft/compat/lockstep"
	"quorate.example/raft/compat/ours"
	"quorate.example/raft/compat/v36"
)

// longFactor is how much more -long does.
const longFactor = 100

var (
	ops         = flag.Int("ops", 1_000_000, "operations to do, over all workers")
	seed        = flag.Uint64("seed", 1, "seed of the first case; each worker takes seeds of its own from there")
	defaultMode = flag.Bool("default", false, "compare the default configuration instead of Mirror36")
	long        = flag.Bool("long", false, "do a hundred times as many operations")
	workers     = flag.Int("workers", runtime.NumCPU(), "processes to work in")
	self        = flag.Bool("self", false, "compare v3.6.0 with itself: a check of the harness")
	worker      = flag.Int("worker", -1, "the number of this worker (used by the command itself)")
	shrink      = flag.Duration("shrink", 20*time.Second, "how long to look for a shorter schedule")
	classes     = flag.Bool("classes", false, "go on after a difference, in one process, and list what kinds there are")
	one         = flag.Bool("one", false, "run only the case of -seed")
)

// seedsApart keeps the seeds of the workers apart.
const seedsApart = 1 << 32

func main() {
	flag.Parse()
	total := *ops
	if *long {
		total *= longFactor
	}
	if *one || *classes {
		*worker = 0
	}
	if *one {
		total = 1
	}
	if *worker >= 0 {
		work(total)
		return
	}
	start := time.Now()
	res, err := split(total)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lockstep:", err)
		os.Exit(2)
	}
	fmt.Print(res.Counts())
	took := time.Since(start)
	fmt.Printf("seeds from %d, %d workers, %v, %.0f operations a second\n", *seed, *workers,
		took.Round(time.Millisecond), float64(res.Ops)/took.Seconds())
	if res.Failure != nil {
		fmt.Println("DIFFERENCE", res.Failure)
		os.Exit(1)
	}
	if !verdict(res) {
		os.Exit(1)
	}
	fmt.Println("no difference")
}

// verdict reports whether no listed difference ended more than one case in fifty.
func verdict(res *lockstep.Result) bool {
	ok := true
	for id, n := range res.Explained {
		if n*50 > res.Cases && res.Cases >= 500 {
			fmt.Printf("%s ended %d of %d cases, more than 2 %%\n", id, n, res.Cases)
			ok = false
		}
	}
	return ok
}

// work does the part of one worker and prints the result as JSON.
func work(total int) {
	v36.Deterministic()
	libs := lockstep.Libraries{Reference: v36.New, Ours: ours.New, Default: *defaultMode}
	if *self {
		libs.Ours = v36.New
	}
	if *defaultMode {
		libs.Explainers = lockstep.Explainers
	}
	if *classes {
		listClasses(libs, total)
		return
	}
	res := lockstep.Run(libs, *seed+uint64(*worker)*seedsApart, total)
	if res.Failure != nil {
		res.Failure.Shrink(libs, *shrink)
	}
	if *one {
		fmt.Print(res.Counts())
		if res.Failure != nil {
			fmt.Println("DIFFERENCE", res.Failure)
			os.Exit(1)
		}
		return
	}
	if err := json.NewEncoder(os.Stdout).Encode(res); err != nil {
		fmt.Fprintln(os.Stderr, "lockstep:", err)
		os.Exit(2)
	}
}

// listClasses prints how many cases ended at which difference, and the seed of the shortest.
func listClasses(libs lockstep.Libraries, total int) {
	res := lockstep.RunAll(libs, *seed, total)
	fmt.Print(res.Counts())
	for name, k := range res.Classes {
		fmt.Printf("%d cases, the shortest with -one -seed %d (%d operations):\n%s", k.Count, k.Seed, k.Ops, name)
	}
}

// split runs the workers, each a process: the reference draws election timeouts from a source that a
// whole process shares.
func split(total int) (*lockstep.Result, error) {
	bin, err := os.Executable()
	if err != nil {
		return nil, err
	}
	type part struct {
		res *lockstep.Result
		err error
	}
	parts := make(chan part)
	for i := range *workers {
		go func() {
			args := []string{"-worker", strconv.Itoa(i), "-ops", strconv.Itoa(total / *workers),
				"-seed", strconv.FormatUint(*seed, 10), "-shrink", shrink.String(),
				"-default=" + strconv.FormatBool(*defaultMode), "-self=" + strconv.FormatBool(*self)}
			cmd := exec.Command(bin, args...)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			p := part{res: &lockstep.Result{}, err: err}
			if err == nil {
				p.err = json.Unmarshal(out, p.res)
			}
			parts <- p
		}()
	}
	sum := lockstep.NewResult()
	for range *workers {
		p := <-parts
		if p.err != nil {
			err = p.err
			continue
		}
		sum.Add(p.res)
	}
	return sum, err
}
