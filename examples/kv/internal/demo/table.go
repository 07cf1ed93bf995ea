package demo

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

func (s *story) printTable(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	seconds := s.write.took.Seconds()
	fmt.Fprintln(t)
	row("files", "%d", s.files.count)
	row("bytes", "%s", megabytes(s.files.bytes))
	row("writing", "%.1f s with %d writers", seconds, s.Writers)
	row("throughput", "%.1f MB/s, %.0f writes/s", float64(s.files.bytes)/1e6/seconds,
		float64(len(s.write.latencies))/seconds)
	row("acknowledged write", "p50 %s, p99 %s, max %s",
		millis(s.write.percentile(0.50)), millis(s.write.percentile(0.99)), millis(s.write.percentile(1)))
	row("writes tried again", "%d", s.write.attempts-len(s.write.latencies))
	row("without a leader", "%s, from SIGKILL to the next acknowledged write", millis(s.leaderless))
	row("restarted member", "%d, which received %d entries and %d snapshots",
		s.killed, s.restarted.AppendedEntries, s.restarted.InstalledSnapshots)
	row("caught up", "%s after the last write", millis(s.catchUp))
	for _, d := range s.digests {
		row(fmt.Sprintf("member %d", d.id), "%d keys, %s, sha256 %s", d.keys, megabytes(d.bytes), d.sum)
	}
	t.Flush()
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
