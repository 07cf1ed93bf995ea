package host

import (
	"encoding/hex"
	"sort"
	"strconv"
	"strings"

	pb "quorate.example/raft/raftpb"
)

// AppendReady appends all of rd as lines of text.
func AppendReady(b []byte, rd *Ready) []byte {
	b = append(b, "ready nil="...)
	b = append(b, rd.Nil...)
	b = append(b, " sync="...)
	b = strconv.AppendBool(b, rd.MustSync)
	if rd.Soft != nil {
		b = num(num(b, " lead=", rd.Soft.Lead), " role=", rd.Soft.Role)
	}
	b = hard(b, rd.Hard)
	b = append(b, '\n')
	for _, r := range rd.ReadStates {
		b = num(append(b, "  read"...), " index=", r.Index)
		b = bytesOrNil(b, " ctx=", r.Ctx)
		b = append(b, '\n')
	}
	b = entries(b, "  entry", rd.Entries)
	if m := rd.Snapshot.Metadata; m.Index != 0 || len(rd.Snapshot.Data) > 0 || rd.Snapshot.Data != nil {
		b = append(b, "  snapshot "...)
		raw, _ := rd.Snapshot.Marshal()
		b = append(shortHex(b, raw), '\n')
	}
	b = entries(b, "  committed", rd.Committed)
	for i := range rd.Messages {
		b = append(b, "  message "...)
		b = append(AppendPacket(b, &rd.Messages[i]), '\n')
	}
	return append(b, rd.Text...)
}

// AppendPacket appends a message as text: its head in words, then its bytes, those of a heartbeat
// with the context masked.
func AppendPacket(b []byte, p *Packet) []byte {
	b = num(num(b, "", p.From), "->", p.To)
	b = append(b, ' ')
	b = append(b, p.Type.String()...)
	b = append(b, ' ')
	return shortHex(b, MaskedRaw(p))
}

// MaskedRaw returns the bytes of a message with the context of a heartbeat masked.
func MaskedRaw(p *Packet) []byte {
	if p.Type != pb.MsgHeartbeat && p.Type != pb.MsgHeartbeatResp {
		return p.Raw
	}
	m := Decode(p.Raw)
	if len(m.Context) == 0 {
		return p.Raw
	}
	m.Context = MaskContext(m.Type, m.Context)
	return Encode(m).Raw
}

// AppendStatus appends all of st as lines of text.
func AppendStatus(b []byte, st *Status) []byte {
	b = num(append(b, "status"...), " id=", st.ID)
	b = hard(b, st.Hard)
	b = num(num(b, " lead=", st.Soft.Lead), " role=", st.Soft.Role)
	b = num(num(b, " applied=", st.Applied), " transferee=", st.Transferee)
	b = append(b, " hasReady="...)
	b = strconv.AppendBool(b, st.HasReady)
	b = append(append(b, "\n  text "...), st.Text...)
	b = append(append(b, "\n  json "...), SortProgress(st.JSON)...)
	b = append(append(append(b, "\n  config "...), st.Config...), '\n')
	for i := range st.Progress {
		b = progress(b, "  progress", &st.Progress[i])
	}
	for i := range st.Visits {
		b = progress(b, "  visit", &st.Visits[i])
	}
	return b
}

func progress(b []byte, name string, p *Progress) []byte {
	b = num(append(b, name...), " ", p.ID)
	b = num(num(num(num(b, " match=", p.Match), " next=", p.Next), " state=", p.State), " pending=", p.Pending)
	b = num(b, " inflight=", uint64(p.Inflight))
	for _, f := range []bool{p.Recent, p.Paused, p.Learner, p.Full} {
		b = append(b, ' ')
		b = strconv.AppendBool(b, f)
	}
	b = append(append(b, ' '), p.Text...)
	return append(b, '\n')
}

func num(b []byte, name string, v uint64) []byte {
	return strconv.AppendUint(append(b, name...), v, 10)
}

func hard(b []byte, h pb.HardState) []byte {
	return num(num(num(b, " term=", h.Term), " vote=", h.Vote), " commit=", h.Commit)
}

func entries(b []byte, name string, ents []pb.Entry) []byte {
	for _, e := range ents {
		b = num(num(append(b, name...), " ", e.Index), "/", e.Term)
		b = append(append(b, ' '), e.Type.String()...)
		b = bytesOrNil(b, " ", e.Data)
		b = append(b, '\n')
	}
	return b
}

func bytesOrNil(b []byte, name string, data []byte) []byte {
	b = append(b, name...)
	if data == nil {
		return append(b, "nil"...)
	}
	return shortHex(b, data)
}

// shortHex appends data in hex, what is long as its start, length and hash.
func shortHex(b, data []byte) []byte {
	const most = 120
	if len(data) <= most {
		return hex.AppendEncode(b, data)
	}
	b = hex.AppendEncode(b, data[:most])
	return num(num(b, "... len=", uint64(len(data))), " hash=", Hash(data))
}

// SortProgress puts the members of a Status's JSON in order; v3.6.0 writes them in that of a map.
func SortProgress(json string) string {
	const head = `"progress":{`
	at := strings.Index(json, head)
	if at < 0 {
		return json
	}
	start := at + len(head)
	end := strings.Index(json[start:], "}}")
	if end < 0 {
		return json
	}
	parts := strings.Split(json[start:start+end], "},")
	sort.Strings(parts)
	return json[:start] + strings.Join(parts, "},") + json[start+end:]
}
