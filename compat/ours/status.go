package ours

import (
	"encoding/json"
	"slices"

	"quorate.example/raft"
	"quorate.example/raft/compat/host"
	"quorate.example/raft/tracker"
)

func (m *member) Basic() host.Basic { return basic(m.BasicStatus()) }

func basic(st raft.BasicStatus) host.Basic {
	return host.Basic{
		ID:         st.ID,
		Hard:       st.HardState,
		Soft:       host.Soft{Lead: st.Lead, Role: uint64(st.RaftState)},
		Applied:    st.Applied,
		Transferee: st.LeadTransferee,
	}
}

func (m *member) Status() host.Status {
	st := m.RawNode.Status()
	js, err := json.Marshal(st)
	if err != nil {
		panic(err)
	}
	out := host.Status{
		Basic:    m.Basic(),
		HasReady: m.HasReady(),
		Text:     host.SortProgress(st.String()),
		JSON:     string(js),
		Config:   st.Config.String(),
	}
	for id, pr := range st.Progress {
		out.Progress = append(out.Progress, progress(id, &pr))
	}
	slices.SortFunc(out.Progress, func(a, b host.Progress) int { return int(a.ID) - int(b.ID) })
	m.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		p := progress(id, &pr)
		p.Learner = typ == raft.ProgressTypeLearner
		out.Visits = append(out.Visits, p)
	})
	return out
}

func progress(id uint64, pr *tracker.Progress) host.Progress {
	p := host.Progress{
		ID: id, Match: pr.Match, Next: pr.Next, State: uint64(pr.State), Pending: pr.PendingSnapshot,
		Recent: pr.RecentActive, Paused: pr.MsgAppFlowPaused, Learner: pr.IsLearner,
	}
	if pr.Inflights != nil { // WithProgress leaves them out, and String needs them
		p.Inflight, p.Full, p.Text = pr.Inflights.Count(), pr.Inflights.Full(), pr.String()
	}
	return p
}
