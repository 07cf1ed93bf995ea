package raft

import (
	"fmt"
	"strconv"
	"strings"

	pb "quorate.example/raft/raftpb"
)

// EntryFormatter writes the Data of an entry for people. Without one, Data is quoted as a Go string.
type EntryFormatter func([]byte) string

// describer collects a text. The texts are those of go.etcd.io/raft v3.6.0 to the byte, because hosts
// have them in their golden files.
type describer struct {
	strings.Builder
	format EntryFormatter
}

// describe returns what write puts into a describer with f.
func describe(f EntryFormatter, write func(*describer)) string {
	d := describer{format: f}
	write(&d)
	return d.String()
}

// DescribeHardState returns hs as text; Vote is left out if there is none.
func DescribeHardState(hs pb.HardState) string {
	vote := ""
	if hs.Vote != None {
		vote = " Vote:" + strconv.FormatUint(hs.Vote, 10)
	}
	return fmt.Sprintf("Term:%d%s Commit:%d", hs.Term, vote, hs.Commit)
}

// DescribeSoftState returns ss as text.
func DescribeSoftState(ss SoftState) string {
	return fmt.Sprintf("Lead:%d State:%s", ss.Lead, ss.RaftState)
}

// DescribeConfState returns the members of state as text, in the order in which it lists them.
func DescribeConfState(state pb.ConfState) string {
	return fmt.Sprintf("Voters:%v VotersOutgoing:%v Learners:%v LearnersNext:%v AutoLeave:%t",
		state.Voters, state.VotersOutgoing, state.Learners, state.LearnersNext, state.AutoLeave)
}

// DescribeSnapshot returns what snap covers as text, without its Data.
func DescribeSnapshot(snap pb.Snapshot) string {
	meta := snap.Metadata
	return fmt.Sprintf("Index:%d Term:%d ConfState:%s", meta.Index, meta.Term, DescribeConfState(meta.ConfState))
}

// DescribeEntry returns e as one line: position, type, and then the Data of a normal entry as f writes
// it, or the changes of a configuration change. If those cannot be read, the error takes their place.
func DescribeEntry(e pb.Entry, f EntryFormatter) string {
	return describe(f, func(d *describer) { d.entry(&e) })
}

// DescribeEntries returns a line for each entry; see DescribeEntry.
func DescribeEntries(ents []pb.Entry, f EntryFormatter) string {
	return describe(f, func(d *describer) { d.entries(ents, "") })
}

// DescribeMessage returns m as text: one line, and more where it carries several entries, a snapshot
// or responses. Members are in hexadecimal. Context is left out.
func DescribeMessage(m pb.Message, f EntryFormatter) string {
	return describe(f, func(d *describer) { d.message(&m, "") })
}

// DescribeReady returns the parts of rd that are not empty as text, a headline above each list.
// MustSync alone does not make a Ready.
func DescribeReady(rd Ready, f EntryFormatter) string {
	parts := describe(f, func(d *describer) { d.readyParts(&rd) })
	if parts == "" {
		return "<empty Ready>"
	}
	return fmt.Sprintf("Ready MustSync=%t:\n%s", rd.MustSync, parts)
}

func (d *describer) readyParts(rd *Ready) {
	if rd.SoftState != nil {
		d.line(DescribeSoftState(*rd.SoftState))
	}
	if !IsEmptyHardState(rd.HardState) {
		d.line("HardState " + DescribeHardState(rd.HardState))
	}
	if len(rd.ReadStates) > 0 {
		d.line(fmt.Sprint("ReadStates ", rd.ReadStates))
	}
	if len(rd.Entries) > 0 {
		d.line("Entries:")
		d.entries(rd.Entries, "")
	}
	if !IsEmptySnap(rd.Snapshot) {
		d.line("Snapshot " + DescribeSnapshot(rd.Snapshot))
	}
	if len(rd.CommittedEntries) > 0 {
		d.line("CommittedEntries:")
		d.entries(rd.CommittedEntries, "")
	}
	if len(rd.Messages) > 0 {
		d.line("Messages:")
		d.messages(rd.Messages, "")
	}
}

func (d *describer) line(text string) {
	d.WriteString(text)
	d.WriteByte('\n')
}

// entries writes a line for each of ents, indented.
func (d *describer) entries(ents []pb.Entry, indent string) {
	for i := range ents {
		d.WriteString(indent)
		d.entry(&ents[i])
		d.WriteByte('\n')
	}
}

func (d *describer) entry(e *pb.Entry) {
	fmt.Fprintf(d, "%d/%d %s", e.Term, e.Index, e.Type)
	if text := d.payload(e); text != "" {
		d.WriteByte(' ')
		d.WriteString(text)
	}
}

func (d *describer) payload(e *pb.Entry) string {
	switch {
	case e.Type == pb.EntryConfChange:
		return describeChange(e.Data, &pb.ConfChange{})
	case e.Type == pb.EntryConfChangeV2:
		return describeChange(e.Data, &pb.ConfChangeV2{})
	case e.Type != pb.EntryNormal:
		return ""
	case d.format == nil:
		return strconv.Quote(string(e.Data))
	default:
		return d.format(e.Data)
	}
}

// describeChange reads data into cc, which is empty, and returns the changes as text.
func describeChange(data []byte, cc interface {
	pb.ConfChangeI
	Unmarshal([]byte) error
}) string {
	if err := cc.Unmarshal(data); err != nil {
		return err.Error()
	}
	return pb.ConfChangesToString(cc.AsV2().Changes)
}

// messages writes each of ms on lines of its own, indented.
func (d *describer) messages(ms []pb.Message, indent string) {
	for i := range ms {
		d.WriteString(indent)
		d.message(&ms[i], indent)
		d.WriteByte('\n')
	}
}

// message writes m; its first line goes on where the text is, the others are indented.
func (d *describer) message(m *pb.Message, indent string) {
	fmt.Fprintf(d, "%s->%s %s Term:%d Log:%d/%d", memberName(m.From), memberName(m.To),
		m.Type, m.Term, m.LogTerm, m.Index)
	if m.Reject {
		fmt.Fprintf(d, " Rejected (Hint: %d)", m.RejectHint)
	}
	if m.Commit != 0 {
		fmt.Fprintf(d, " Commit:%d", m.Commit)
	}
	if m.Vote != None {
		fmt.Fprintf(d, " Vote:%d", m.Vote)
	}
	switch len(m.Entries) {
	case 0:
	case 1:
		d.WriteString(" Entries:[")
		d.entry(&m.Entries[0])
		d.WriteByte(']')
	default:
		d.WriteString(" Entries:[\n")
		d.entries(m.Entries, indent+"  ")
		d.WriteString(indent + "]")
	}
	if m.Snapshot != nil && !IsEmptySnap(*m.Snapshot) {
		d.WriteString("\n" + indent + "  Snapshot: " + DescribeSnapshot(*m.Snapshot))
	}
	if len(m.Responses) > 0 {
		d.WriteString(" Responses:[\n")
		d.messages(m.Responses, indent+"  ")
		d.WriteString(indent + "]")
	}
}

// memberName returns id as messages show it.
func memberName(id uint64) string {
	switch id {
	case None:
		return "None"
	case LocalAppendThread:
		return "AppendThread"
	case LocalApplyThread:
		return "ApplyThread"
	default:
		return strconv.FormatUint(id, 16)
	}
}
