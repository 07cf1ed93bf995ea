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
	runs []termRun
	end  uint64
}

// at returns the term of entry i; known is false if i is not covered.
func (t *termRuns) at(i uint64) (term uint64, known bool) {
	n := len(t.runs)
	if n == 0 || i > t.end || i < t.runs[0].first {
		return 0, false
	}
	if last := t.runs[n-1]; i >= last.first {
		return last.term, true
	}
	return t.runs[t.find(i)].term, true
}

// find returns the position of the run that holds i, which must be covered.
func (t *termRuns) find(i uint64) int {
	return sort.Search(len(t.runs), func(k int) bool { return t.runs[k].first > i }) - 1
}

// start returns the lowest index that is covered, and end+1 if none is.
func (t *termRuns) start() uint64 {
	if len(t.runs) == 0 {
		return t.end + 1
	}
	return t.runs[0].first
}

// push records that entry id follows the covered part, or starts it.
func (t *termRuns) push(id entryID) {
	n := len(t.runs)
	if n == 0 || id.index != t.end+1 {
		t.reset(id)
		return
	}
	if t.runs[n-1].term != id.term {
		if n == maxTermRuns {
			n = copy(t.runs, t.runs[n/2:])
			t.runs = t.runs[:n]
		}
		t.runs = append(t.runs, termRun{first: id.index, term: id.term})
	}
	t.end = id.index
}

// extend records that entry id comes directly before the covered part.
func (t *termRuns) extend(id entryID) {
	switch n := len(t.runs); {
	case n == 0:
		t.reset(id)
	case t.runs[0].term == id.term:
		t.runs[0].first = id.index
	case n < maxTermRuns:
		t.runs = append(t.runs, termRun{})
		copy(t.runs[1:], t.runs)
		t.runs[0] = termRun{first: id.index, term: id.term}
	}
}

// truncate forgets all entries above i.
func (t *termRuns) truncate(i uint64) {
	if i >= t.end {
		return
	}
	if len(t.runs) == 0 || i < t.runs[0].first {
		t.runs = t.runs[:0]
	} else {
		t.runs = t.runs[:t.find(i)+1]
	}
	t.end = i
}

// reset makes id the only entry covered.
func (t *termRuns) reset(id entryID) {
	t.runs = append(t.runs[:0], termRun{first: id.index, term: id.term})
	t.end = id.index
}

// lastUpTo returns the highest covered index in [start, i] whose term is at most term, and that
// entry's term; found is false if there is none.
func (t *termRuns) lastUpTo(i, term uint64) (id entryID, found bool) {
	if len(t.runs) == 0 || i < t.runs[0].first {
		return entryID{}, false
	}
	k := t.find(min(i, t.end))
	if t.runs[k].term <= term {
		return entryID{term: t.runs[k].term, index: min(i, t.end)}, true
	}
	k = sort.Search(k, func(k int) bool { return t.runs[k].term > term }) - 1
	if k < 0 {
		return entryID{}, false
	}
	return entryID{term: t.runs[k].term, index: t.runs[k+1].first - 1}, true
}
