package drill

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// mine is what the names of this drill's namespaces, bridge and file systems begin with.
func mine() string { return fmt.Sprintf("kvd%d", os.Getpid()) }

var ofADrill = regexp.MustCompile(`^kvd([0-9]+)(-[0-9]+)?$`)

// sweep takes away what drills left behind that could not clean up, since they were killed themselves.
// A drill that still runs keeps what it has.
func sweep(say func(format string, args ...any)) {
	if os.Geteuid() != 0 {
		return // nothing could be made, and nothing can be taken away
	}
	mounts, _ := os.ReadFile("/proc/self/mounts") // without it there is nothing to be found
	for _, dir := range orphanMounts(string(mounts), alive) {
		tell(say, dir, run("umount", dir))
	}
	for _, name := range orphans("/run/netns") {
		tell(say, name, run("ip", "netns", "delete", name))
	}
	for _, name := range orphans("/sys/class/net") {
		if !strings.Contains(name, "-") { // the other links went with their namespaces
			tell(say, name, run("ip", "link", "delete", name))
		}
	}
}

func tell(say func(format string, args ...any), name string, err error) {
	if err != nil {
		say("an earlier drill left %s behind, which stays: %v", name, err)
		return
	}
	say("an earlier drill left %s behind, which is gone now", name)
}

// orphans returns the entries of a directory that are named after drills that are over.
func orphans(dir string) []string {
	entries, _ := os.ReadDir(dir) // without it there is nothing to be found
	var out []string
	for _, e := range entries {
		if m := ofADrill.FindStringSubmatch(e.Name()); m != nil && !alive(m[1]) {
			out = append(out, e.Name())
		}
	}
	return out
}

// orphanMounts returns where file systems of drills that are over are mounted, the newest first.
func orphanMounts(mounts string, alive func(pid string) bool) []string {
	var out []string
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[2] != "tmpfs" {
			continue
		}
		if m := ofADrill.FindStringSubmatch(fields[0]); m != nil && !alive(m[1]) {
			out = append(out, fields[1])
		}
	}
	slices.Reverse(out)
	return out
}

// alive reports whether a process with this ID runs. One that has ended has no command line any more,
// even if nobody has asked yet how it ended.
func alive(pid string) bool {
	line, err := os.ReadFile("/proc/" + pid + "/cmdline")
	return err == nil && len(line) > 0
}
