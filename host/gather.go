package host

import "time"

// gathering lets proposals wait for one another. Callers whose proposals were answered together come back
// almost together: if the first of them were written alone, all others would wait for its sync.
type gathering struct {
	expected int       // as many were answered by the last call of Apply
	until    time.Time // nothing waits if it is zero
}

// gather reports whether what waits is to wait for others still.
func (e *engine) gather() bool {
	g, p := &e.gathering, &e.proposals
	if e.cfg.GatherTime == 0 || p.overdue || p.bytes >= batchBytes || 2*len(p.waiting) >= g.expected {
		g.until = time.Time{}
		return false
	}
	now := e.now()
	if g.until.IsZero() {
		g.until = now.Add(e.cfg.GatherTime)
	}
	if now.Before(g.until) {
		return true
	}
	g.expected, g.until = len(p.waiting), time.Time{} // the others do not come
	return false
}
