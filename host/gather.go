package host

import "time"

// gathering lets proposals wait for one another. Callers whose proposals were answered together come back
// almost together: if the first of them were written alone, all others would wait for its sync.
type gathering struct {
	callers int       // as many proposals were under way at once, lately
	until   time.Time // nothing waits if it is zero
}

// gather reports whether what waits is to wait for others still: until half of the callers are here, while the
// proposals of the other half are on their way.
func (e *engine) gather() bool {
	g, p := &e.gathering, &e.proposals
	if e.cfg.GatherTime == 0 {
		return false
	}
	now, present := e.now(), len(p.waiting)+len(p.handed)
	g.callers = max(g.callers, present)
	switch {
	case p.overdue || !g.until.IsZero() && !now.Before(g.until):
		g.callers = present // the others do not come
	case p.bytes >= batchBytes || 2*len(p.waiting) >= g.callers:
		g.callers -= (g.callers - present) / 8
	default:
		if g.until.IsZero() {
			g.until = now.Add(e.cfg.GatherTime)
		}
		return true
	}
	g.until = time.Time{}
	return false
}
