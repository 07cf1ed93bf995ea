package raft

import "sort"

// termRun is a stretch of the log in which all entries have one term.
type termRun struct {
	first uint64 // index of its first entry
	term  uint64
}

// maxTermRuns bounds the memory of termRuns; the oldest runs are forgotten first, and Storage is
// asked about them again.
const maxTermRuns = 4096

// termRuns knows the terms of the newest part of the log, one run per term, so that looking one up
// does not need Storage. It covers the indexes from the first run's start to end, both included;
// it says nothing about others. Terms never fall along a log, so runs are in order of both fields.
type termRuns struct {
	newest termRun // covers nothing if it starts above end
	end    uint64
	before *[]termRun // the runs before the newest one, if there ever were any
}

// older returns the runs before the newest one.
func (t *termRuns) older() []termRun {
	if t.before == nil {
		return nil
	}
	return *t.before
}

func (t *termRuns) setOlder(runs []termRun) {
	if t.before == nil {
		t.before = new([]termRun)
	}
	*t.before = runs
}

// noTerms returns a termRuns that covers nothing; end is the last index of the log.
func noTerms(end uint64) termRuns { return termRuns{newest: termRun{first: end + 1}, end: end} }

func (t *termRuns) empty() bool { return t.newest.first > t.end }

// at returns the term of entry i; known is false if i is not covered.
func (t *termRuns) at(i uint64) (term uint64, known bool) {
	if i >= t.newest.first && i <= t.end {
		return t.newest.term, true
	}
	return t.atOlder(i)
}

func (t *termRuns) atOlder(i uint64) (term uint64, known bool) {
	if i > t.end || i < t.start() {
		return 0, false
	}
	return t.older()[t.find(i)].term, true
}

// find returns the position of the older run that holds i, which must be covered by one.
func (t *termRuns) find(i uint64) int {
	older := t.older()
	return sort.Search(len(older), func(k int) bool { return older[k].first > i }) - 1
}

// start returns the lowest index that is covered, and end+1 if none is.
func (t *termRuns) start() uint64 {
	if older := t.older(); len(older) > 0 {
		return older[0].first
	}
	return t.newest.first
}

// push records that entry id follows the covered part, or starts it.
func (t *termRuns) push(id entryID) {
	switch {
	case t.empty() || id.index != t.end+1:
		t.reset(id)
		return
	case t.newest.term != id.term:
		older := t.older()
		if n := len(older); n == maxTermRuns-1 {
			n = copy(older, older[n/2:])
			older = older[:n]
		}
		t.setOlder(append(older, t.newest))
		t.newest = termRun{first: id.index, term: id.term}
	}
	t.end = id.index
}

// extend records that entry id comes directly before the covered part.
func (t *termRuns) extend(id entryID) {
	oldest, older := &t.newest, t.older()
	if len(older) > 0 {
		oldest = &older[0]
	}
	switch {
	case t.empty():
		t.reset(id)
	case oldest.term == id.term:
		oldest.first = id.index
	case len(older) < maxTermRuns-1:
		older = append(older, termRun{})
		copy(older[1:], older)
		older[0] = termRun{first: id.index, term: id.term}
		t.setOlder(older)
	}
}

// truncate forgets all entries above i.
func (t *termRuns) truncate(i uint64) {
	if i >= t.end {
		return
	}
	switch {
	case i < t.start():
		*t = termRuns{newest: termRun{first: i + 1}}
	case i < t.newest.first:
		older, k := t.older(), t.find(i)
		t.newest = older[k]
		t.setOlder(older[:k])
	}
	t.end = i
}

// reset makes id the only entry covered.
func (t *termRuns) reset(id entryID) {
	*t = termRuns{newest: termRun{first: id.index, term: id.term}, end: id.index}
}

// lastUpTo returns the highest covered index in [start, i] whose term is at most term, and that
// entry's term; found is false if there is none.
func (t *termRuns) lastUpTo(i, term uint64) (id entryID, found bool) {
	if t.empty() || i < t.start() {
		return entryID{}, false
	}
	i = min(i, t.end)
	if i >= t.newest.first && t.newest.term <= term {
		return entryID{term: t.newest.term, index: i}, true
	}
	after := t.newest.first // where the run after the one that was looked at last starts
	older := t.older()
	k := len(older)
	if i < t.newest.first {
		k = t.find(i) + 1
		after = i + 1
	}
	k = sort.Search(k, func(k int) bool { return older[k].term > term }) - 1
	if k < 0 {
		return entryID{}, false
	}
	if k+1 < len(older) {
		after = min(after, older[k+1].first)
	}
	return entryID{term: older[k].term, index: after - 1}, true
}
