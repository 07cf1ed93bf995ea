package raft

import (
	"math/rand"

	pb "quorate.example/raft/raftpb"
)

// clock counts ticks.
type clock struct {
	// sinceContact is, for a follower, the ticks since the leader was heard; for a candidate, since it
	// campaigned; for a leader, since it checked its quorum.
	sinceContact int
	timeout      int // a follower campaigns when sinceContact reaches this
	seed         uint64
}

// draw returns the next random number of this member. Without Config.Rand it is the splitmix64
// sequence: one word of state, so that ten thousand idle members cost nothing for it.
func (r *raft) draw() uint64 {
	if r.rare != nil && r.rare.hooks.rand != nil {
		return r.rare.hooks.rand.Uint64()
	}
	if r.clock.seed == 0 {
		r.clock.seed = rand.Uint64()
	}
	r.clock.seed += 0x9e3779b97f4a7c15
	z := r.clock.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// restartClock starts all counts again and draws a new election timeout, so that members seldom
// campaign at the same time (thesis 3.4).
func (r *raft) restartClock() {
	span := uint64(r.cfg.ElectionTick)
	r.clock.sinceContact = 0
	r.clock.timeout = r.cfg.ElectionTick + int(r.draw()%span)
}

func (r *raft) tick() {
	r.log.tail.rest()
	few := r.out.emitted <= fewMessages
	r.out.rest()
	if r.state == StateLeader {
		r.tickLeader(few)
		return
	}
	r.clock.sinceContact++
	if r.rare != nil && r.rare.keepsLease > 0 {
		r.rare.keepsLease--
	}
	if r.clock.sinceContact >= r.clock.timeout && r.mayLead() {
		r.clock.sinceContact = 0
		r.stepLocal(&pb.Message{Type: pb.MsgHup, From: r.id})
	}
}

// idles reports whether a tick only counts, as long as nothing else happens and time is not up: a follower
// without anything that a tick lets go of or counts down.
func (r *raft) idles() bool {
	return r.state == StateFollower && (r.rare == nil || r.rare.keepsLease == 0 && !r.rare.halted) &&
		r.out.rests() && r.log.tail.rests()
}

// tickLeader is tick for a leader, which has sent few messages since the last one or not.
func (r *raft) tickLeader(few bool) {
	r.leadership.ticks++
	r.leadership.reads.rest()
	r.clock.sinceContact++
	if r.clock.sinceContact >= r.cfg.ElectionTick {
		r.clock.sinceContact = 0
		if r.cfg.CheckQuorum {
			r.stepLocal(&pb.Message{Type: pb.MsgCheckQuorum, From: r.id})
		}
		// Thesis 3.10: a target that did not take over in an election timeout is given up.
		if r.state == StateLeader {
			r.abortTransfer()
		}
	}
	if r.state != StateLeader {
		return
	}
	r.tickSnapshots()
	if (r.leadership.ticks-uint64(r.cfg.ElectionTick))%uint64(r.cfg.HeartbeatTick) == 0 {
		if few {
			r.peers.Rest()
		}
		r.stepLocal(&pb.Message{Type: pb.MsgBeat, From: r.id})
	}
}

// stepLocal steps a message that this member makes itself and that cannot fail.
func (r *raft) stepLocal(m *pb.Message) {
	if err := r.step(m); err != nil {
		r.logger.debug("own message was refused", logText("type", m.Type.String()), logErr(err))
	}
}
