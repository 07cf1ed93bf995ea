package host

import pb "quorate.example/raft/raftpb"

// Lane says where a Task belongs. The tasks of LaneLog and LaneApply exclude each other within the lane; those
// of the other lanes do not.
type Lane uint8

// The lanes.
const (
	LaneLog      Lane = iota // calls of LogStore.Save and Compact
	LaneApply                // calls of the StateMachine
	LaneSnapshot             // a snapshot is written to the SnapshotStore
	LaneStream               // a snapshot is sent
	lanes
)

var laneNames = [...]string{"log", "apply", "snapshot", "stream"}

// String returns the name of the lane.
func (l Lane) String() string { return laneNames[l] }

// Task is work that is done beside the loop: Run anywhere, then Manual.Finish.
type Task struct {
	Lane Lane
	Name string // such as "save" or "apply"
	// Bytes and Entries tell how much there is to do, for a simulation of the time that it takes.
	Bytes   int
	Entries int
	Sync    bool

	run  func() error
	done func(err error)
	drop func() // lets go of what it holds when done is never called; may be nil
	err  error

	write   *Write       // of a save
	content []pb.Entry   // of an apply
	install *pb.Snapshot // of a restore
}

// Run does the work. It is called once, by any goroutine.
func (t *Task) Run() {
	if t.run != nil {
		t.err = t.run()
	}
}

func (t *Task) forget() {
	if t.drop != nil {
		t.drop()
	}
}
